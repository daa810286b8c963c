//! The end of the program: nobody who was let in is turned out.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::process::Workplace;

#[test]
fn sigterm_under_load_loses_no_request() {
    let place = Workplace::new(None);
    let mut server = place.serve(&[("YIYONG_DRAIN_SECONDS", "3")]);
    let address = server.base.trim_start_matches("http://").to_owned();

    // A request that is under way: its head has been read, half of its body has been sent.
    let body = r#"{"username": "nobody", "password": "not the password"}"#;
    let mut under_way = TcpStream::connect(&address).expect("connected");
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    under_way.write_all(head.as_bytes()).expect("sent");
    let mut begun = [0; 25];
    under_way.read_exact(&mut begun).expect("a word");
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    under_way.write_all(&body.as_bytes()[..20]).expect("sent");

    // Callers behind a balancer: they go elsewhere when they are told that the server is not ready.
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (server, tell) = (&server, tell.clone());
                scope.spawn(move || {
                    let mut answered = 0;
                    loop {
                        assert_eq!(server.nobody().get("/health/live").status, 200);
                        let ready = server.nobody().get("/health/ready");
                        answered += 1;
                        if ready.status != 200 {
                            assert_eq!((ready.status, ready.code()), (503, "overloaded"));
                            assert_eq!(ready.header("Connection"), Some("close"));
                            return answered;
                        }
                        let _ = tell.send(());
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            told.recv().expect("load");
        }
        server.terminate();
        let answered: usize = callers.into_iter().map(|caller| caller.join().expect("every request was answered")).sum();
        assert!(answered > 20);
    });

    under_way.write_all(&body.as_bytes()[20..]).expect("sent");
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).expect("an answer, and the connection's end");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("invalid_credentials"), "{answer}");
    assert_eq!(server.end().code(), Some(0), "{}", server.log());
    assert!(TcpStream::connect(&address).is_err());
}
