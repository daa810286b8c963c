//! Rewrites the bulk files of `tests/fixtures/zhengzhou-2022`: `cargo run --example zhengzhou_2022`.

mod bulk;

fn main() -> std::io::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zhengzhou-2022");
    for (name, csv) in bulk::files() {
        std::fs::write(folder.join(name), csv)?;
        println!("{name}");
    }
    Ok(())
}
