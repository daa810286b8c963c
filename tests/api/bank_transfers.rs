//! To the bank and back: where money is sent, the file, its result, and what doesn't match.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::ledger::{Purse, approved, clean, purse};
use crate::welfare::{BATCHES, DISBURSEMENTS, PROGRAMMES, made, organization, step};

const PAYEES: &str = "/api/v1/payee-accounts";
const TRANSFERS: &str = "/api/v1/bank-transfers";
const LINES: &str = "/api/v1/bank-transfer-lines";
const CARD: &str = "6222 0217 0200 0000 000";

/// Those whose hands money goes through, a purse of the city's, and a programme.
struct Cast<'h> {
    zz: Value,
    clerk: Client<'h>,
    leader: Client<'h>,
    finance: Client<'h>,
    cashier: Client<'h>,
    purse: Purse,
    programme: Value,
}

impl<'h> Cast<'h> {
    fn of(host: &'h Host) -> Self {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::WelfareOfficer, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let cashier = host.user("cashier", Role::Finance, Some("zz"));
        let purse = purse(&finance, &leader, &zz, "unrestricted", 10_000_000);
        let draft = json!({"organization_id": zz, "name": "困难救助", "kind": "hardship", "form": "cash"});
        let programme = made(clerk.post(PROGRAMMES, &draft)).body["id"].clone();
        Self { zz, clerk, leader, finance, cashier, purse, programme }
    }

    fn hero(&self, name: &str) -> (Value, Value) {
        let person = made(self.clerk.post("/api/v1/persons", &json!({"organization_id": self.zz, "name": name}))).body["id"].clone();
        let hero = made(self.clerk.post("/api/v1/heroes", &json!({"organization_id": self.zz, "person_id": person}))).body["id"].clone();
        (person, hero)
    }

    fn payee(&self, person: &Value, holder: &str, number: &str) -> Answer {
        let draft = json!({"organization_id": self.zz, "person_id": person, "holder_name": holder, "bank_name": "中国工商银行郑州二七支行", "number": number});
        self.clerk.post(PAYEES, &draft)
    }

    fn given(&self, hero: &Value, fen: i64, batch: &Value) -> Value {
        json!({"organization_id": self.zz, "programme_id": self.programme, "hero_id": hero, "amount_fen": fen, "channel": "own",
               "year": 2022, "batch_id": batch})
    }

    fn paid(&self, hero: &Value, fen: i64) -> String {
        let path = approved(&self.clerk, &self.leader, &self.given(hero, fen, &Value::Null));
        let answer = step(&self.finance, &path, "pay", &self.purse.paid("2022-06-17"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.id().to_owned()
    }

    fn transfer(&self, what: &Value) -> Answer {
        let mut draft = json!({"organization_id": self.zz, "account_id": self.purse.account});
        draft.as_object_mut().expect("an object").extend(what.as_object().expect("an object").clone());
        self.finance.post(TRANSFERS, &draft)
    }
}

/// The file for the bank, its rows after the header.
fn file(client: &Client<'_>, transfer: &str) -> Vec<Vec<String>> {
    let answer = client.send("POST", &format!("{TRANSFERS}/{transfer}/export"), &[], Some(b""));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    let text = answer.body.as_str().expect("a file").to_owned();
    let text = text.strip_prefix('\u{FEFF}').expect("a byte order mark");
    assert!(text.starts_with("序号,业务参考号,收款人户名,收款账号,开户银行,金额（元）,附言\r\n"), "{text}");
    text.trim_end().lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn results(client: &Client<'_>, transfer: &str, key: &str, text: &str) -> Answer {
    let headers = [("Content-Type", "text/csv"), ("Idempotency-Key", key)];
    client.send("POST", &format!("{TRANSFERS}/{transfer}/import"), &headers, Some(text.as_bytes()))
}

/// What doesn't match: kinds and references.
fn open(client: &Client<'_>, transfer: &str) -> Vec<(String, String)> {
    let answer = client.get(&format!("{TRANSFERS}/{transfer}/reconciliation"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body["items"].as_array().expect("items");
    assert_eq!((answer.body["total"].as_u64(), answer.body["matches"].as_bool()), (Some(items.len() as u64), Some(items.is_empty())));
    items.iter().map(|item| (item["kind"].as_str().expect("a kind").into(), item["reference"].as_str().expect("one").into())).collect()
}

fn told(kind: &str, reference: &str) -> (String, String) {
    (kind.into(), reference.into())
}

#[test]
fn a_persons_money_goes_to_one_account_that_nobody_reads() {
    on_each_database(|host| {
        let cast = Cast::of(host);
        let (person, hero) = cast.hero("王大山");
        assert_eq!(cast.payee(&person, "王大山", "6222x").faults(), [("/number", "invalid_account_number")]);
        // What the shape finds wrong and what the rules do is told at once.
        let both = cast.payee(&person, "", "6222x");
        assert_eq!(both.faults(), [("/holder_name", "too_short"), ("/number", "invalid_account_number")]);
        let account = made(cast.payee(&person, "王大山", CARD));
        assert_eq!(
            (&account.body["number_masked"], &account.body["card_checks"], &account.body["person"]["name"]),
            (&json!("6222***********0000"), &json!(true), &json!("王大山"))
        );
        assert!(!account.body.to_string().contains("0217"), "{account:?}");
        assert_eq!(cast.payee(&person, "王大山", "123456789").faults(), [("/person_id", "account_in_use")]);
        let path = format!("{PAYEES}/{}", account.id());
        // The same, spelt otherwise, is no change.
        assert_eq!(cast.clerk.patch(&path, "\"1\"", &json!({"number": "6222-0217-0200-0000-000"})).header("ETag"), account.header("ETag"));
        assert_eq!(cast.clerk.patch(&path, "\"1\"", &json!({"bank_name": "中国银行"})).status, 200);
        // Who pays doesn't say where to.
        assert_eq!(cast.finance.get(&path).status, 200);
        assert_eq!(cast.finance.patch(&path, "\"2\"", &json!({"number": "123456789"})).status, 403);
        assert_eq!(cast.finance.post(PAYEES, &json!({})).status, 403);

        // One number for two people is found; of a family that may be right.
        let (other, _) = cast.hero("李小明");
        made(cast.payee(&other, "王大山", CARD));
        let shared = cast.clerk.get(&format!("{PAYEES}?shared=true&count=true"));
        assert_eq!(shared.body["total"], 2);
        assert_eq!(cast.clerk.get(&format!("{PAYEES}?shared=false&count=true")).body["total"], 0);

        // Once money has gone there it stays as it is: another number is another account.
        let paid = cast.paid(&hero, 100);
        made(cast.transfer(&json!({"disbursement_ids": [paid]})));
        assert_eq!(
            cast.clerk.patch(&path, "\"2\"", &json!({"number": "123456789", "bank_name": "中国银行"})).faults(),
            [("/number", "account_sent_to")]
        );
        assert_eq!(cast.clerk.delete(&path).code(), "still_referenced");
        assert_eq!(step(&cast.clerk, &path, "disable", &json!({})).body["status"], "closed");
        let second = made(cast.payee(&person, "王大山", "123456789"));
        assert_eq!((&second.body["number_masked"], &second.body["card_checks"]), (&json!("*****6789"), &Value::Null));
        assert_eq!(step(&cast.clerk, &path, "enable", &json!({})).code(), "conflict");

        // Of two who turn out to be one, one account stays in use.
        let merged = host.sign_in("cityadmin", yiyong::auth::UserKind::Person);
        let double = made(cast.clerk.post("/api/v1/persons", &json!({"organization_id": cast.zz, "name": "王大山"})));
        let theirs = made(cast.payee(&double.body["id"], "王大山", "987654321"));
        let answer = merged.post(&format!("/api/v1/persons/{}/merge", double.id()), &json!({"into_id": person, "reason": "同一人"}));
        assert_eq!(answer.status, 200, "{answer:?}");
        let moved = cast.clerk.get(&format!("{PAYEES}/{}", theirs.id()));
        assert_eq!((&moved.body["person_id"], &moved.body["status"]), (&person, &json!("closed")));
        clean(host);
    });
}

#[test]
fn what_goes_to_the_bank_comes_back_and_is_reconciled() {
    on_each_database(|host| {
        let cast = Cast::of(host);
        let batch = json!({"organization_id": cast.zz, "programme_id": cast.programme, "name": "困难救助 2022", "year": 2022});
        let batch = made(cast.clerk.post(BATCHES, &batch)).body["id"].clone();
        let names = ["王大山", "李小明", "张三", "=赵四"];
        let people: Vec<(Value, Value)> = names.iter().map(|name| cast.hero(name)).collect();
        for (i, (_, hero)) in people.iter().enumerate() {
            made(cast.clerk.post(DISBURSEMENTS, &cast.given(hero, 100_000 + i as i64, &batch)));
        }
        let path = format!("{BATCHES}/{}", batch.as_str().expect("an id"));
        let nothing = cast.transfer(&json!({"batch_id": batch}));
        assert_eq!(nothing.faults(), [("/batch_id", "nothing_to_send")]);
        assert_eq!(step(&cast.clerk, &path, "submit", &json!({})).status, 200);
        assert_eq!(step(&cast.leader, &path, "approve", &json!({})).status, 200);
        assert_eq!(step(&cast.finance, &path, "pay", &cast.purse.paid("2022-06-17")).status, 200);

        // Everybody needs an account, and it leaves from where it was paid.
        let without = cast.transfer(&json!({"batch_id": batch}));
        assert_eq!(without.faults(), [("/batch_id", "no_payee_account"); 4]);
        for ((person, _), name) in people.iter().zip(names) {
            made(cast.payee(person, name, CARD));
        }
        let elsewhere = purse(&cast.finance, &cast.leader, &cast.zz, "unrestricted", 100);
        let one = cast.finance.get(&format!("{DISBURSEMENTS}?state=paid&with_bank=false")).body["items"][0]["id"].clone();
        let wrong = json!({"organization_id": cast.zz, "account_id": elsewhere.account, "disbursement_ids": [one]});
        assert_eq!(cast.finance.post(TRANSFERS, &wrong).faults(), [("/disbursement_ids/0", "paid_from_another_account")]);
        let fund = json!({"organization_id": cast.zz, "account_id": cast.purse.fund, "batch_id": batch});
        assert_eq!(cast.finance.post(TRANSFERS, &fund).faults(), [("/account_id", "not_a_bank_account")]);
        assert_eq!(cast.transfer(&json!({"batch_id": batch, "disbursement_ids": [one]})).faults(), [("/batch_id", "one_of_two")]);
        assert_eq!(cast.transfer(&json!({"disbursement_ids": [one, one]})).faults(), [("/disbursement_ids/1", "twice")]);

        let transfer = made(cast.transfer(&json!({"code": "T1", "batch_id": batch})));
        assert_eq!((&transfer.body["lines"], &transfer.body["amount_fen"]), (&json!(4), &json!(400_006)));
        assert_eq!(transfer.body["allowed_actions"], json!(["export", "cancel"]));
        let id = transfer.id().to_owned();
        // Nothing is sent twice, and what the bank may still pay isn't undone.
        assert_eq!(cast.transfer(&json!({"batch_id": batch})).faults(), [("/batch_id", "nothing_to_send")]);
        assert_eq!(cast.transfer(&json!({"disbursement_ids": [one]})).faults(), [("/disbursement_ids/0", "with_the_bank_already")]);
        assert_eq!(cast.finance.get(&format!("{DISBURSEMENTS}?state=paid&with_bank=false&count=true")).body["total"], 0);
        let undone = json!({"reason": "退汇", "reversed_on": "2022-06-20"});
        let of_one = format!("{DISBURSEMENTS}/{}", one.as_str().expect("an id"));
        assert_eq!(step(&cast.cashier, &of_one, "reverse", &undone).code(), "conflict");
        let early = "业务参考号,金额,结果\nT1-0001,1000.00,成功\n";
        assert_eq!(results(&cast.finance, &id, "early", early).code(), "step_not_allowed");

        // The file holds the whole numbers, for finance alone, and is audited; a name is never a formula.
        assert_eq!(cast.clerk.send("POST", &format!("{TRANSFERS}/{id}/export"), &[], Some(b"")).status, 403);
        assert_eq!(cast.leader.send("POST", &format!("{TRANSFERS}/{id}/export"), &[], Some(b"")).status, 403);
        let rows = file(&cast.finance, &id);
        assert_eq!(rows[0], ["1", "T1-0001", "王大山", "6222021702000000000", "中国工商银行郑州二七支行", "1000.00", "困难救助"]);
        assert_eq!((rows[3][2].as_str(), rows[3][5].as_str()), ("'=赵四", "1000.03"));
        assert_eq!(file(&cast.finance, &id), rows);
        let sent = cast.finance.get(&format!("{TRANSFERS}/{id}"));
        assert_eq!((&sent.body["state"], &sent.body["allowed_actions"]), (&json!("sent"), &json!(["export", "import"])));
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let events = auditor.get(&format!("/api/v1/audit-events?record_id={id}&action=export&count=true"));
        assert_eq!(events.body["total"], 2);
        assert_eq!(step(&cast.finance, &format!("{TRANSFERS}/{id}"), "cancel", &json!({"reason": "改"})).code(), "step_not_allowed");
        let waiting: Vec<_> = (1..=4).map(|n| told("waiting", &format!("T1-000{n}"))).collect();
        assert_eq!(open(&cast.finance, &id), waiting);

        // A file that can't be read whole changes nothing.
        let broken = "业务参考号,金额,结果\nT1-0001,1000.00,成功\nT1-0002,壹仟,失败\n";
        assert_eq!(results(&cast.finance, &id, "broken", broken).faults(), [("/3/amount_yuan", "invalid_amount")]);
        assert_eq!(results(&cast.finance, &id, "empty", "业务参考号,金额,结果\n").faults(), [("", "empty_file")]);
        assert_eq!(open(&cast.finance, &id), waiting);

        // Paid, bounced, another amount, and a line that nobody knows.
        let answer = results(
            &cast.finance,
            &id,
            "first",
            "\u{FEFF}业务参考号,户名,金额（元）,处理结果,失败原因,处理日期\nT1-0001,王大山,\"1,000.00\",成功,,20220620\nT1-0002,李小明,1000.01,失败,账号不存在,2022-06-20\nT1-0003,张三,9.99,成功,,\nX-7,谁,5,成功,,\n",
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        let counts = ["rows_read", "paid", "bounced", "unchanged", "mismatched"].map(|key| answer.body[key].as_i64().expect("a count"));
        assert_eq!((counts, &answer.body["state"]), ([4, 1, 1, 0, 2], &json!("sent")));
        let again = results(&cast.finance, &id, "again", "reference,amount_yuan,result\nT1-0001,1000,paid\nX-7,5,paid\n");
        assert_eq!((&again.body["unchanged"], &again.body["mismatched"]), (&json!(1), &json!(1)));
        assert_eq!(
            open(&cast.finance, &id),
            [
                told("bounced", "T1-0002"),
                told("amount_differs", "T1-0003"),
                told("waiting", "T1-0003"),
                told("waiting", "T1-0004"),
                told("unknown_line", "X-7")
            ]
        );
        let line = cast.finance.get(&format!("{LINES}?code=T1-0002")).body["items"][0].clone();
        assert_eq!(
            (&line["state"], &line["bank_reason"], &line["settled_on"]),
            (&json!("bounced"), &json!("账号不存在"), &json!("2022-06-20"))
        );

        // What bounced is sent again to the right account, what else waits is settled.
        let second = made(cast.transfer(&json!({"code": "T2", "disbursement_ids": [line["disbursement_id"]]})));
        let settled = results(&cast.finance, &id, "rest", "reference,amount_yuan,result\nT1-0003,1000.02,paid\nT1-0004,1000.03,paid\n");
        assert_eq!((&settled.body["paid"], &settled.body["state"]), (&json!(2), &json!("settled")));
        assert_eq!(open(&cast.finance, &id), [told("unknown_line", "X-7")]);
        let sums = cast.finance.get(&format!("{TRANSFERS}/{id}")).body["results"].clone();
        assert_eq!(
            (&sums["paid"]["amount_fen"], &sums["bounced"]["lines"], &sums["waiting"]["lines"]),
            (&json!(300_005), &json!(1), &json!(0))
        );
        // That it was paid after all is no result of a line that bounced.
        let late = results(&cast.finance, &id, "late", "reference,amount_yuan,result\nT1-0002,1000.01,paid\n");
        assert_eq!(late.body["mismatches"][0]["mismatch"], "contradicts");

        // The bank sends the second one back whole; then the books undo it, by another than who paid.
        file(&cast.finance, second.id());
        let second_path = format!("{TRANSFERS}/{}", second.id());
        assert_eq!(step(&cast.finance, &second_path, "return", &json!({"reason": "文件格式有误"})).status, 403);
        let back = step(&cast.leader, &second_path, "return", &json!({"reason": "文件格式有误"}));
        assert_eq!((&back.body["state"], &back.body["results"]["bounced"]["lines"]), (&json!("settled"), &json!(1)), "{back:?}");
        assert_eq!(open(&cast.finance, second.id()), [told("bounced", "T2-0001")]);
        let bounced = format!("{DISBURSEMENTS}/{}", line["disbursement_id"].as_str().expect("an id"));
        assert_eq!(step(&cast.cashier, &bounced, "reverse", &undone).status, 200);
        assert_eq!(open(&cast.finance, second.id()), []);
        clean(host);
        // And what arrived and is undone nevertheless is asked about.
        assert_eq!(step(&cast.cashier, &of_one, "reverse", &undone).status, 200);
        assert_eq!(
            open(&cast.finance, &id),
            [told("contradicts", "T1-0002"), told("reversed_though_paid", "T1-0004"), told("unknown_line", "X-7")]
        );
    });
}

#[test]
fn two_transfers_at_once_send_nothing_twice() {
    on_each_database(|host| {
        let cast = Cast::of(host);
        let (person, hero) = cast.hero("王大山");
        made(cast.payee(&person, "王大山", CARD));
        let paid = cast.paid(&hero, 100);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..16).map(|_| scope.spawn(|| cast.transfer(&json!({"disbursement_ids": [paid]})).status)).collect();
            tries.into_iter().map(|one| one.join().expect("an answer")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [201, 409, 422].contains(status)), "{statuses:?}");
        assert_eq!(cast.finance.get(&format!("{LINES}?count=true")).body["total"], 1);
        // Cancelled before its file is out, it can be sent by another.
        let first = cast.finance.get(TRANSFERS).body["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("{TRANSFERS}/{first}");
        assert_eq!(step(&cast.finance, &path, "cancel", &json!({"reason": "账户有误"})).body["state"], "cancelled");
        assert_eq!(cast.finance.send("POST", &format!("{path}/export"), &[], Some(b"")).code(), "step_not_allowed");
        made(cast.transfer(&json!({"disbursement_ids": [paid]})));
        clean(host);
    });
}
