//! Files that belong to records.

use std::io::{Cursor, Write};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::json;
use yiyong::attachments;
use yiyong::policy::Role;
use yiyong::types::Instant;

use crate::hosts::{Answer, Client, Host, on_each_database, on_each_database_with};

const HERE: &str = "/api/v1/attachments";

/// Sends a form with a file in it.
pub fn upload(client: &Client<'_>, fields: &[(&str, &str)], file: Option<(&str, &[u8])>, key: Option<&str>) -> Answer {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(format!("--b0und\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes());
    }
    if let Some((name, bytes)) = file {
        // The type that a sender names is often wrong and never believed.
        let head = format!(
            "--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b0und--\r\n");
    let mut headers = vec![("Content-Type", "multipart/form-data; boundary=b0und")];
    headers.extend(key.map(|key| ("Idempotency-Key", key)));
    client.send("POST", HERE, &headers, Some(&body))
}

/// A picture of stripes, so that nothing of it is alike everywhere.
pub fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| Rgb([(x % 256) as u8, (y % 256) as u8, ((x * y) % 256) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

/// A picture of many pixels in few bytes.
fn white(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height).write_to(&mut bytes, ImageFormat::Png).expect("a picture");
    bytes.into_inner()
}

/// A JPEG as a phone writes it: lying on its side (orientation 6), with a note of where it was taken.
fn phone_photo(width: u32, height: u32) -> Vec<u8> {
    let note = b"34.7466N 113.6254E home of the hero\0";
    let mut exif: Vec<u8> = b"Exif\0\0II*\0\x08\0\0\0\x02\0".to_vec();
    // Each entry: tag, type, count, value or where it stands.
    exif.extend([0x0E, 0x01, 2, 0, note.len() as u8, 0, 0, 0, 38, 0, 0, 0]);
    exif.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]);
    exif.extend([0, 0, 0, 0]);
    exif.extend_from_slice(note);
    let plain = picture(width, height, ImageFormat::Jpeg);
    let mut photo = plain[..2].to_vec();
    photo.extend([0xFF, 0xE1]);
    photo.extend(u16::try_from(exif.len() + 2).expect("short").to_be_bytes());
    photo.extend(exif);
    photo.extend_from_slice(&plain[2..]);
    photo
}

fn zipped(parts: &[&str]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for part in parts {
        archive.start_file(*part, zip::write::SimpleFileOptions::default()).expect("a part");
        archive.write_all(b"<x/>").expect("written");
    }
    archive.finish().expect("an archive").into_inner()
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A park of a county's, to be photographed.
pub fn park(host: &Host, city: &Client<'_>, county: &str) -> String {
    let organization = city.get(&format!("/api/v1/organizations?code={county}"));
    let organization = organization.body["items"][0]["id"].as_str().expect("a county").to_owned();
    let park = city.post(
        "/api/v1/publicity-assets",
        &json!({"organization_id": organization, "name": "嵩阳公园", "category": "venue", "kind": "park", "stage": "completed", "stage_on": "2022-05-01"}),
    );
    assert_eq!(park.status, 201, "{park:?} {}", host.base);
    park.id().to_owned()
}

/// A publicity officer photographs a park with a phone; the city looks at it; the other county sees nothing.
#[test]
fn a_photo_is_its_record_s() {
    on_each_database(|host| {
        let city = host.planted();
        let park = park(host, &city, "zz-dengfeng");
        let officer = host.user("officer", Role::PublicityOfficer, Some("zz-dengfeng"));
        let elsewhere = host.user("elsewhere", Role::PublicityOfficer, Some("zz-gaoxin"));
        let viewer = host.user("viewer", Role::ProvinceViewer, Some("hn"));
        let photo = phone_photo(1200, 800);
        let fields = [("resource", "publicity-assets"), ("record_id", park.as_str()), ("caption", "正门")];
        let added = upload(&officer, &fields, Some(("照片/公园 正门.JPG", &photo)), Some("once"));
        assert_eq!(added.status, 201, "{added:?}");
        assert_eq!(
            (&added.body["file_name"], &added.body["media_type"], &added.body["width"], &added.body["height"], &added.body["caption"]),
            (&json!("公园 正门.jpg"), &json!("image/jpeg"), &json!(800), &json!(1200), &json!("正门")),
            "it stands upright"
        );
        // A retry after a lost answer, whatever separates its parts.
        let again = upload(&officer, &fields, Some(("照片/公园 正门.JPG", &photo)), Some("once"));
        assert_eq!((again.id(), again.header("Idempotent-Replayed")), (added.id(), Some("true")));
        assert_eq!(
            upload(&officer, &fields, Some(("another.jpg", &picture(9, 9, ImageFormat::Jpeg))), Some("once")).code(),
            "idempotency_mismatch"
        );

        let path = format!("{HERE}/{}", added.id());
        let content = officer.download(&format!("{path}/content"));
        let kept = image::load_from_memory(&content).expect("a picture");
        assert_eq!((kept.width(), kept.height(), added.body["bytes"].as_u64()), (800, 1200, Some(content.len() as u64)));
        assert!(contains(&photo, b"113.6254E") && !contains(&content, b"113.6254E") && !contains(&content, b"Exif"));
        let thumbnail = officer.download(&format!("{path}/thumbnail"));
        let small = image::load_from_memory(&thumbnail).expect("a picture");
        assert!(small.height() == 320 && small.width() < 320, "{}×{}", small.width(), small.height());

        // In the storage it can't be read, and its name tells nothing.
        let stored = files_of(&host.keys.path().join("attachments"));
        assert_eq!(stored.len(), 2, "the retry left nothing behind: {stored:?}");
        assert!(
            stored.iter().all(|(name, bytes)| !name.contains("公园") && !bytes.starts_with(b"\xFF\xD8\xFF") && !contains(bytes, b"JFIF"))
        );

        // A page shows it without a token, for a while.
        let links = &city.get(&path).body["links"];
        let link = links["thumbnail"].as_str().expect("a link");
        assert_eq!(host.nobody().download(link), thumbnail);
        let whole = links["content"].as_str().expect("a link");
        let shown = host.nobody().send("GET", whole, &[], None);
        let header = |name: &str| shown.header(name).unwrap_or_default().to_owned();
        assert!(header("Content-Disposition").starts_with("attachment; filename*=UTF-8''%E5%85%AC"), "{shown:?}");
        assert!(header("Cache-Control").starts_with("private, max-age=") && header("X-Content-Type-Options") == "nosniff");
        assert!(header("Content-Security-Policy").contains("sandbox"), "{}", header("Content-Security-Policy"));
        for wrong in
            [whole.replace("/content?", "/thumbnail?"), whole.replace("expires=1", "expires=2"), whole.replace("signature=", "signature=A")]
        {
            assert_eq!(host.nobody().get(&wrong).status, 403, "{wrong}");
        }
        assert_eq!(host.nobody().get(whole.split('&').next().expect("a part")).status, 403);

        // Parts of it.
        let part = |range: &str| officer.send("GET", &format!("{path}/content"), &[("Range", range)], None);
        let length = content.len();
        for (range, from, to) in
            [("bytes=0-0", 0, 1), ("bytes=100-65600", 100, 65_601), ("bytes=-7", length - 7, length), ("bytes=65536-", 65_536, length)]
        {
            let answer = part(range);
            assert_eq!((answer.status, answer.header("Content-Range")), (206, Some(format!("bytes {from}-{}/{length}", to - 1).as_str())));
            let bytes = ranged(&officer, &format!("{path}/content"), range);
            assert_eq!(bytes, content[from..to], "{range}");
        }
        let beyond = part(&format!("bytes={length}-"));
        assert_eq!((beyond.status, beyond.code()), (416, "range_not_satisfiable"));
        assert_eq!(part("bytes=1-2,5-6").status, 200, "of several ranges all is sent");
        let etag = shown.header("ETag").expect("a tag");
        assert_eq!(officer.send("GET", &format!("{path}/content"), &[("If-None-Match", etag)], None).status, 304);

        // Who reads the record reads it; who may not change the record takes nothing away and adds nothing.
        let list = format!("{HERE}?resource=publicity-assets&record_id={park}");
        let seen = viewer.get(&list);
        assert_eq!((seen.body["items"][0]["id"].as_str(), &seen.body["items"][0]["allowed_actions"]), (Some(added.id()), &json!([])));
        assert_eq!((viewer.delete(&path).status, upload(&viewer, &fields, Some(("a.jpg", &photo)), None).status), (403, 403));
        assert_eq!(elsewhere.get(&list).status, 404);
        for path in [path.clone(), format!("{path}/content"), format!("{path}/thumbnail")] {
            assert_eq!(elsewhere.get(&path).status, 404, "{path}");
        }
        assert_eq!((elsewhere.delete(&path).status, upload(&elsewhere, &fields, Some(("a.jpg", &photo)), None).status), (404, 404));

        assert_eq!(officer.delete(&path).status, 204);
        assert_eq!((officer.get(&path).status, officer.delete(&path).status, host.nobody().get(whole).status), (404, 404, 404));
        assert_eq!(files_of(&host.keys.path().join("attachments")), []);
        assert_eq!(officer.get(&list).body["items"], json!([]));
    });
}

pub fn ranged(client: &Client<'_>, path: &str, range: &str) -> Vec<u8> {
    let request = ureq::get(format!("{}{path}", client.base)).header("Range", range);
    let token = client.token.clone().expect("a token");
    request.header("Authorization", format!("Bearer {token}")).call().expect("an answer").body_mut().read_to_vec().expect("bytes")
}

/// Names and contents of all files below a folder.
pub fn files_of(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(files_of(&entry.path()));
        } else {
            files.push((entry.path().display().to_string(), std::fs::read(entry.path()).expect("read")));
        }
    }
    files
}

/// What may not be attached is refused with what to do, and leaves nothing behind.
#[test]
fn what_may_not_be_attached() {
    let settings = [
        ("YIYONG_ATTACHMENT_MIB", "1"),
        ("YIYONG_ATTACHMENT_MEGAPIXELS", "1"),
        ("YIYONG_ATTACHMENTS_OF_RECORD", "3"),
        ("YIYONG_ATTACHMENTS_MIB", "1"),
    ];
    on_each_database_with(&settings, |host| {
        let city = host.planted();
        let park = park(host, &city, "zz-dengfeng");
        let fields = [("resource", "publicity_assets"), ("record_id", park.as_str())];
        let jpeg = picture(40, 30, ImageFormat::Jpeg);
        let with = |name: &str, bytes: &[u8]| upload(&city, &fields, Some((name, bytes)), None);
        let refused =
            |answer: &Answer| (answer.status, answer.faults().first().map_or_else(|| answer.code().to_owned(), |fault| fault.1.to_owned()));
        let macros = zipped(&["[Content_Types].xml", "xl/workbook.xml", "xl/vbaProject.bin"]);
        let noise: Vec<u8> = (0..1_048_577_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (name, bytes, wanted) in [
            ("a.jpg", b"MZ\x90\0".as_slice(), (415, "unsupported_media_type")),
            ("a.jpg", b"<script>alert(1)</script>", (415, "unsupported_media_type")),
            ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415, "unsupported_media_type")),
            ("a.doc", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", (415, "unsupported_media_type")),
            ("a.heic", b"\0\0\0\x18ftypheic", (415, "unsupported_media_type")),
            ("a.zip", &zipped(&["a.txt"]), (415, "unsupported_media_type")),
            ("a.xlsm", &macros, (415, "unsupported_media_type")),
            ("a.jpg", b"", (422, "empty_file")),
            ("a.png", &jpeg, (422, "wrong_extension")),
            ("a.pdf", &jpeg, (422, "wrong_extension")),
            ("a.jpg", &jpeg[..jpeg.len() / 3], (422, "damaged_file")),
            ("a.pdf", b"%PDF-1.7 and no end", (422, "damaged_file")),
            ("a.docx", b"PK\x03\x04 and no directory", (422, "damaged_file")),
            ("a.png", &white(1001, 1000), (422, "too_many_pixels")),
            ("a.jpg", &noise, (413, "too_large")),
        ] {
            let answer = with(name, bytes);
            assert_eq!(refused(&answer), (wanted.0, wanted.1.to_owned()), "{name} {answer:?}");
        }
        let large = with("a.jpg", &noise);
        assert!(large.body["detail"].as_str().is_some_and(|text| text.contains("1 MiB；照片请缩小")), "{large:?}");
        let nothing = upload(&city, &[("colour", "red")], None, None);
        assert_eq!(
            nothing.faults(),
            [("/colour", "unknown_field"), ("/resource", "required"), ("/record_id", "required"), ("/file", "required")]
        );
        let unknown = upload(&city, &[("resource", "users"), ("record_id", "1")], Some(("a.jpg", &jpeg)), None);
        assert_eq!(unknown.faults(), [("/resource", "unknown_resource"), ("/record_id", "invalid_id")]);
        let nowhere = [("resource", "publicity-assets"), ("record_id", "01936a3c-5b7e-7000-8000-000000000001")];
        assert_eq!(upload(&city, &nowhere, Some(("a.jpg", &jpeg)), None).status, 404);
        assert_eq!(city.get(HERE).faults(), [("/resource", "required"), ("/record_id", "required")]);
        assert_eq!(city.get(&format!("{HERE}?resource=users&record_id={park}")).status, 400);
        assert_eq!(files_of(&host.keys.path().join("attachments")), [], "nothing is left behind");

        // What may, up to so many, and so much.
        let docx = zipped(&["[Content_Types].xml", "word/document.xml"]);
        let pdf = [b"%PDF-1.7\n%".as_slice(), &noise[..700 * 1024], b"\n%%EOF\n"].concat();
        assert_eq!(with("方案.docx", &docx).body["media_type"].as_str().map(|t| t.ends_with("wordprocessingml.document")), Some(true));
        let nameless = with("tmp_4f2a9c", &pdf);
        assert_eq!(
            (&nameless.body["file_name"], &nameless.body["links"]["thumbnail"]),
            (&json!("tmp_4f2a9c.pdf"), &json!(null)),
            "{nameless:?}"
        );
        assert_eq!(city.get(&format!("{HERE}/{}/thumbnail", nameless.id())).status, 404);
        let full = with("another.pdf", &pdf);
        assert!(full.code() == "conflict" && full.body["detail"].as_str().is_some_and(|text| text.contains("1 MiB")), "{full:?}");
        assert_eq!(with("a.webp", &picture(40, 30, ImageFormat::WebP)).body["file_name"], "a.jpg");
        let many = with("a.jpg", &jpeg);
        assert_eq!((many.code(), &many.body["most"]), ("conflict", &json!(3)), "{many:?}");
    });
}

/// A file of a hero's is for who works with heroes, and the audit log knows who has fetched it.
#[test]
fn a_file_about_a_person_is_fetched_under_the_eyes_of_the_audit() {
    on_each_database(|host| {
        let city = host.planted();
        let county = city.get("/api/v1/organizations?code=zz-dengfeng").body["items"][0]["id"].as_str().expect("a county").to_owned();
        let person = city.post("/api/v1/persons", &json!({"organization_id": county, "name": "李勇"}));
        let hero = city.post("/api/v1/heroes", &json!({"organization_id": county, "person_id": person.id(), "deed_on": "2022-03-01"}));
        assert_eq!(hero.status, 201, "{hero:?}");
        let welfare = host.user("welfare", Role::WelfareOfficer, Some("zz-dengfeng"));
        let publicity = host.user("publicity", Role::PublicityOfficer, Some("zz-dengfeng"));
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let fields = [("resource", "heroes"), ("record_id", hero.id())];
        let added = upload(&welfare, &fields, Some(("确认书.pdf", b"%PDF-1.7\n%%EOF")), None);
        assert_eq!(added.status, 201, "{added:?}");
        let path = format!("{HERE}/{}", added.id());
        assert_eq!((publicity.get(&path).status, publicity.get(&format!("{path}/content")).status), (404, 404));
        assert_eq!(publicity.get(&format!("{HERE}?resource=heroes&record_id={}", hero.id())).status, 403);
        welfare.download(&format!("{path}/content"));
        let link = welfare.get(&path).body["links"]["content"].as_str().expect("a link").to_owned();
        host.nobody().download(&link);
        let told = auditor.get("/api/v1/audit-events?resource=attachments&action=download");
        let names: Vec<&str> =
            told.body["items"].as_array().expect("events").iter().filter_map(|event| event["actor_id"].as_str()).collect();
        let who = welfare.get("/api/v1/auth/me").body["user"]["id"].as_str().map(str::to_owned);
        assert_eq!(names.len(), 2, "{told:?}");
        assert!(who.is_none_or(|who| names.iter().all(|name| *name == who)), "{names:?}");
    });
}

/// What belongs to a record that is gone goes too, and a file that no row knows.
#[test]
fn what_belongs_to_nothing_is_swept() {
    on_each_database(|host| {
        let city = host.planted();
        let (gone, stays) = (park(host, &city, "zz-dengfeng"), park(host, &city, "zz-gaoxin"));
        let jpeg = picture(40, 30, ImageFormat::Jpeg);
        for record in [&gone, &stays] {
            assert_eq!(upload(&city, &[("resource", "publicity-assets"), ("record_id", record)], Some(("a.jpg", &jpeg)), None).status, 201);
        }
        assert_eq!(city.delete(&format!("/api/v1/publicity-assets/{gone}")).status, 204);
        let folder = host.keys.path().join("attachments");
        std::fs::create_dir_all(folder.join("ab")).expect("a folder");
        std::fs::write(folder.join("ab").join("ab0000"), b"left by a crash").expect("written");
        assert_eq!(files_of(&folder).len(), 5);
        let sweep = |later: i64| {
            let (db, storage) = (host.service.db.clone(), host.service.storage().clone());
            let now = Instant::now().plus_seconds(later);
            actix_web::rt::System::new().block_on(async move { attachments::sweep(&db, &storage, now).await.expect("swept") })
        };
        assert_eq!(sweep(0), 0, "too fresh to be judged");
        assert_eq!(sweep(3_600), 1);
        assert_eq!(files_of(&folder).len(), 3);
        assert_eq!(sweep(25 * 3_600), 1);
        assert_eq!(files_of(&folder).len(), 2);
        let left = city.get(&format!("{HERE}?resource=publicity-assets&record_id={stays}"));
        let path = format!("{HERE}/{}/content", left.body["items"][0]["id"].as_str().expect("an attachment"));
        assert!(image::load_from_memory(&city.download(&path)).is_ok());
    });
}
