//! Attachments in an object store: Amazon's protocol, and those of the two clouds that a Chinese association rents from.
//!
//! The store of these tests keeps what is put, by its address, from whoever signs as its makers describe. It reckons each
//! signature by itself: a bucket, a folder, a key or an endpoint that went astray on the way there is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use image::ImageFormat;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use yiyong::auth::UserKind;

use crate::attachments::{park, picture, ranged, upload};
use crate::hosts::{Client, on_each_database_with};
use crate::process::Workplace;

const HERE: &str = "/api/v1/attachments";
const KEY_ID: &str = "id";
const SECRET: &str = "the secret";

/// Whose signatures a store takes.
#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    S3,
    Oss,
    Cos,
}

/// An object store as far as it is asked.
#[derive(Clone)]
struct Bucket {
    protocol: Protocol,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Bucket {
    fn of(protocol: Protocol) -> Self {
        Self { protocol, files: Arc::default() }
    }

    /// Where its files lie: host and path.
    fn addresses(&self) -> Vec<String> {
        self.files.lock().expect("files").keys().cloned().collect()
    }

    fn start(&self) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let bucket = web::Data::new(self.clone());
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let large = web::PayloadConfig::new(64 * 1024 * 1024);
                let make = move || App::new().app_data(bucket.clone()).app_data(large.clone()).default_service(web::to(answer));
                HttpServer::new(make).workers(1).disable_signals().listen(listener).expect("listens").run().await.expect("served");
            });
        });
        address
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, bucket: web::Data<Bucket>) -> HttpResponse {
    let signature = match bucket.protocol {
        Protocol::S3 => of_s3(&request),
        Protocol::Oss => of_oss(&request),
        Protocol::Cos => of_cos(&request),
    };
    let signed = header(&request, "authorization");
    if signature.is_none_or(|signature| signed != signature) {
        return HttpResponse::Forbidden().body(format!("not signed as it should be: {signed}"));
    }
    let mut files = bucket.files.lock().unwrap_or_else(|e| e.into_inner());
    let address = format!("{}{}", header(&request, "host"), request.path());
    match request.method().as_str() {
        "PUT" => {
            files.insert(address, body.to_vec());
            HttpResponse::Ok().insert_header(("ETag", "\"x\"")).finish()
        }
        "DELETE" => {
            files.remove(&address);
            HttpResponse::NoContent().finish()
        }
        _ => {
            let Some(file) = files.get(&address) else { return HttpResponse::NotFound().finish() };
            let range = header(&request, "range");
            let (from, to) = range.trim_start_matches("bytes=").split_once('-').expect("two ends");
            let (from, to): (usize, usize) = (from.parse().expect("a number"), to.parse().expect("a number"));
            let part = file[from..=to].to_vec();
            HttpResponse::PartialContent().insert_header(("Content-Range", format!("bytes {from}-{to}/{}", file.len()))).body(part)
        }
    }
}

fn header(request: &HttpRequest, name: &str) -> String {
    // What is sent through a proxy may say whom it is for in its first line alone.
    let of_line = || if name == "host" { request.uri().authority().map(ToString::to_string) } else { None };
    let value = request.headers().get(name).and_then(|value| value.to_str().ok());
    value.map(str::to_owned).or_else(of_line).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256_mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha1_mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A value of a comma- or ampersand-separated list of names and values.
fn value<'a>(list: &'a str, separator: char, name: &str) -> Option<&'a str> {
    list.split(separator).find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Amazon's Signature Version 4, in a header.
fn of_s3(request: &HttpRequest) -> Option<String> {
    let given = header(request, "authorization");
    let list = given.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let names = value(list, ',', "SignedHeaders")?;
    let scope = value(list, ',', "Credential")?.strip_prefix(&format!("{KEY_ID}/"))?;
    let parts: Vec<&str> = scope.split('/').collect();
    let [day, region, service, end] = parts[..] else { return None };
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", header(request, name))).collect();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{names}\n{}",
        request.method(),
        request.path(),
        request.query_string(),
        header(request, "x-amz-content-sha256")
    );
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", header(request, "x-amz-date"), hex(&Sha256::digest(canonical.as_bytes())));
    let key = [day, region, service, end].iter().fold(format!("AWS4{SECRET}").into_bytes(), |key, part| sha256_mac(&key, part));
    let ours = names.split(';').any(|name| name == "host") && (region, service, end) == ("us-east-1", "s3", "aws4_request");
    let signature = hex(&sha256_mac(&key, &text));
    ours.then(|| format!("AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"))
}

/// Alibaba Cloud's signature, version 1, in a header. The bucket is the first word of the host.
fn of_oss(request: &HttpRequest) -> Option<String> {
    let host = header(request, "host");
    let bucket = host.strip_suffix(".oss-cn-zhengzhou.aliyuncs.com")?;
    let mut own: Vec<String> = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-oss-"))
        .map(|(name, value)| format!("{name}:{}\n", value.to_str().unwrap_or_default().trim()))
        .collect();
    own.sort();
    let text = format!(
        "{}\n{}\n{}\n{}\n{}/{bucket}{}",
        request.method(),
        header(request, "content-md5"),
        header(request, "content-type"),
        header(request, "date"),
        own.concat(),
        request.path()
    );
    Some(format!("OSS {KEY_ID}:{}", STANDARD.encode(sha1_mac(SECRET.as_bytes(), &text))))
}

/// Tencent Cloud's signature, in a header.
fn of_cos(request: &HttpRequest) -> Option<String> {
    let encoded = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
    };
    let given = header(request, "authorization");
    let (time, names) = (value(&given, '&', "q-sign-time")?, value(&given, '&', "q-header-list")?);
    // Which headers are signed is up to the sender; the host, by which the bucket is found, needn't be among them.
    let signed = names.split(';').filter(|name| !name.is_empty());
    let headers: Vec<String> = signed.map(|name| format!("{name}={}", encoded(&header(request, name)))).collect();
    let method = request.method().as_str().to_lowercase();
    let asked = format!("{method}\n{}\n{}\n{}\n", request.path(), request.query_string(), headers.join("&"));
    let key = hex(&sha1_mac(SECRET.as_bytes(), time));
    let signature = hex(&sha1_mac(key.as_bytes(), &format!("sha1\n{time}\n{}\n", hex(&Sha1::digest(asked.as_bytes())))));
    Some(format!(
        "q-sign-algorithm=sha1&q-ak={KEY_ID}&q-sign-time={time}&q-key-time={time}&q-header-list={names}&q-url-param-list=&q-signature={signature}"
    ))
}

/// A file is put, fetched in part, and deleted.
fn come_and_go(city: &Client<'_>, (resource, record): (&str, &str), bucket: &Bucket, begin: &str) {
    let added =
        upload(city, &[("resource", resource), ("record_id", record)], Some(("a.jpg", &picture(800, 600, ImageFormat::Jpeg))), None);
    assert_eq!(added.status, 201, "{added:?}");
    let addresses = bucket.addresses();
    assert!(addresses.len() == 2 && addresses.iter().all(|address| address.contains(begin)), "{addresses:?}");
    let path = format!("{HERE}/{}", added.id());
    let content = city.download(&format!("{path}/content"));
    assert_eq!(image::load_from_memory(&content).expect("a picture").width(), 800);
    assert_eq!(ranged(city, &format!("{path}/content"), "bytes=70000-70009"), content[70_000..70_010]);
    assert_eq!(city.delete(&path).status, 204);
    assert!(bucket.addresses().is_empty());
}

/// And where the store is away the answer says that it will be back.
#[test]
fn files_in_a_bucket() {
    let bucket = Bucket::of(Protocol::S3);
    let endpoint = bucket.start();
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let tell = |text: &str| std::fs::write(&secret, text).expect("written");
    let of_secret = secret.display().to_string();
    let mut settings = [
        ("YIYONG_STORAGE_URL", "s3://files/yiyong"),
        ("YIYONG_STORAGE_ENDPOINT", endpoint.as_str()),
        ("YIYONG_STORAGE_KEY_ID", KEY_ID),
        ("YIYONG_STORAGE_SECRET_FILE", of_secret.as_str()),
    ];
    tell(&format!("{SECRET}\n"));
    on_each_database_with(&settings, |host| {
        let city = host.planted();
        come_and_go(&city, ("publicity-assets", &park(host, &city, "zz-dengfeng")), &bucket, "/files/yiyong/");
    });
    // A secret that is not the store's, and a store where nobody listens.
    tell("another");
    for endpoint in [endpoint.as_str(), "http://127.0.0.1:9"] {
        settings[1].1 = endpoint;
        on_each_database_with(&settings, |host| {
            let city = host.planted();
            let park = park(host, &city, "zz-dengfeng");
            let fields = [("resource", "publicity-assets"), ("record_id", park.as_str())];
            let refused = upload(&city, &fields, Some(("a.jpg", &picture(80, 60, ImageFormat::Jpeg))), None);
            assert_eq!((refused.status, refused.code()), (503, "storage_unavailable"), "{refused:?}");
            assert!(refused.header("Retry-After").is_some());
            let list = city.get(&format!("{HERE}?resource=publicity-assets&record_id={park}"));
            assert_eq!(list.body["items"], json!([]), "nothing is half done");
        });
    }
    assert!(bucket.addresses().is_empty());
}

/// The clouds find a bucket by its host, so the program goes to them by their names, through a proxy that is the store.
#[test]
fn files_at_the_clouds() {
    for (protocol, url, endpoint, begin) in [
        (Protocol::Oss, "oss://yiyong-files/zz", "http://oss-cn-zhengzhou.aliyuncs.com", "yiyong-files.oss-cn-zhengzhou.aliyuncs.com/zz/"),
        (
            Protocol::Cos,
            "cos://yiyong-1250000000/zz",
            "http://cos.ap-beijing.myqcloud.com",
            "yiyong-1250000000.cos.ap-beijing.myqcloud.com/zz/",
        ),
    ] {
        let bucket = Bucket::of(protocol);
        let proxy = bucket.start();
        let workplace = Workplace::new(None);
        let secret = workplace.folder.path().join("secret");
        std::fs::write(&secret, SECRET).expect("written");
        let secret = secret.display().to_string();
        let settings = [
            ("YIYONG_STORAGE_URL", url),
            ("YIYONG_STORAGE_ENDPOINT", endpoint),
            ("YIYONG_STORAGE_KEY_ID", KEY_ID),
            ("YIYONG_STORAGE_SECRET_FILE", secret.as_str()),
            ("http_proxy", proxy.as_str()),
        ];
        assert!(workplace.run(&["migrate"], &[]).status.success());
        workplace.user("platform", "platform_admin", None);
        let server = workplace.serve(&settings);
        let nobody = server.nobody();
        let platform = nobody.sign_in("platform", UserKind::Person);
        let root = platform.post("/api/v1/organizations", &json!({"code": "zz", "name": "郑州市见义勇为协会", "kind": "city_association"}));
        workplace.user("cityadmin", "org_admin", Some("zz"));
        let city = nobody.sign_in("cityadmin", UserKind::Person);
        let person = city.post("/api/v1/persons", &json!({"organization_id": root.id(), "name": "李勇"}));
        let hero = city.post("/api/v1/heroes", &json!({"organization_id": root.id(), "person_id": person.id(), "deed_on": "2022-03-01"}));
        come_and_go(&city, ("heroes", hero.id()), &bucket, begin);
    }
}
