//! What every target does with a file: reads it to its end, or is refused as a caller would be.

use std::io::Write;

use yiyong::error::Code;
use yiyong::files::read::{self, Limits};

pub fn read(bytes: &[u8]) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    let limits = Limits { inflated: 1 << 20, rows: 1_000, columns: 50, cell: 4_096, ..Limits::default() };
    let outcome = read::open(file, None, &limits).and_then(|mut table| {
        while let Some(row) = table.next()? {
            assert!(row.cells.len() <= limits.columns);
        }
        table.reopened()?.skip_past(3)
    });
    if let Err(error) = outcome {
        assert!(matches!(error.code, Code::ValidationFailed | Code::TooLarge), "{error:?}");
    }
}

/// An archive of these parts.
#[allow(dead_code)] // Not every target packs.
pub fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in parts {
        let (mut entry, config) = archive.new_file(name).start().expect("begun");
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).expect("written");
        let (_, descriptor) = writer.finish().expect("finished");
        entry.finish(descriptor).expect("finished");
    }
    archive.finish().expect("finished");
    bytes
}
