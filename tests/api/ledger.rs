//! The ledger: money comes in by vouchers of two hands, goes out by payments, and what is posted stays.

use std::collections::BTreeMap;

use diesel::RunQueryDsl;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, Host, on_each_database};
use crate::welfare::{BATCHES, DISBURSEMENTS, PROGRAMMES, made, organization, step};

const ACCOUNTS: &str = "/api/v1/accounts";
const VOUCHERS: &str = "/api/v1/vouchers";
const TRANSACTIONS: &str = "/api/v1/ledger-transactions";

/// What a payment is made of: a fund, and the bank account where its money lies.
pub struct Purse {
    pub fund: String,
    pub account: String,
}

impl Purse {
    /// The body of a payment out of it.
    pub fn paid(&self, on: &str) -> Value {
        json!({"paid_on": on, "fund_id": self.fund, "account_id": self.account})
    }

    pub fn balances(&self, client: &Client<'_>) -> (i64, i64) {
        (balance(client, &self.fund), balance(client, &self.account))
    }
}

fn account(finance: &Client<'_>, organization: &Value, kind: &str, more: &Value) -> String {
    let mut draft = json!({"organization_id": organization, "name": format!("{kind} 账户"), "kind": kind});
    draft.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    made(finance.post(ACCOUNTS, &draft)).id().to_owned()
}

fn balance(client: &Client<'_>, account: &str) -> i64 {
    client.get(&format!("{ACCOUNTS}/{account}")).body["balance_fen"].as_i64().expect("a balance")
}

fn voucher(organization: &Value, kind: &str, debit: &str, credit: &str, fen: i64) -> Value {
    json!({"organization_id": organization, "kind": kind, "debit_account_id": debit, "credit_account_id": credit, "amount_fen": fen,
           "occurred_on": "2022-01-04", "summary": "期初"})
}

fn at(answer: &Answer) -> String {
    format!("{VOUCHERS}/{}", answer.id())
}

/// Prepared by one, posted by the other.
fn posted(finance: &Client<'_>, leader: &Client<'_>, draft: &Value) -> String {
    let path = at(&made(finance.post(VOUCHERS, draft)));
    assert_eq!(step(finance, &path, "submit", &json!({})).status, 200);
    let answer = step(leader, &path, "post", &json!({}));
    assert_eq!((answer.status, &answer.body["state"]), (200, &json!("posted")), "{answer:?}");
    path
}

/// A purse with money in it.
pub fn purse(finance: &Client<'_>, leader: &Client<'_>, organization: &Value, kind: &str, fen: i64) -> Purse {
    let (bank, fund) = (account(finance, organization, "bank", &json!({})), account(finance, organization, kind, &json!({})));
    posted(finance, leader, &voucher(organization, "opening", &bank, &fund, fen));
    Purse { fund, account: bank }
}

/// A disbursement that waits for its approval; returns its address.
pub fn submitted(clerk: &Client<'_>, draft: &Value) -> String {
    let path = format!("{DISBURSEMENTS}/{}", made(clerk.post(DISBURSEMENTS, draft)).id());
    assert_eq!(step(clerk, &path, "submit", &json!({})).status, 200);
    path
}

/// An approved disbursement of an amount; returns its address.
pub fn approved(clerk: &Client<'_>, leader: &Client<'_>, draft: &Value) -> String {
    let path = submitted(clerk, draft);
    assert_eq!(step(leader, &path, "approve", &json!({})).status, 200);
    path
}

fn faults(answer: &Answer) -> Vec<(&str, &str)> {
    answer.faults()
}

pub fn clean(host: &Host) {
    let found = host.service.db.run(false, yiyong::integrity::check).expect("a check");
    assert!(found.clean, "{:?}", found.checks.iter().filter(|check| check.offenders > 0).collect::<Vec<_>>());
}

#[test]
fn money_comes_in_by_two_hands() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let second = host.user("second", Role::Leader, Some("zz"));
        let county = host.user("county", Role::Finance, Some("zz-dengfeng"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));

        // Accounts say where money lies, or what it is for.
        let draft = |kind: &str, purposes: Value| json!({"organization_id": zz, "name": "专户", "kind": kind, "purposes": purposes});
        assert_eq!(faults(&finance.post(ACCOUNTS, &draft("restricted", Value::Null))), [("/purposes", "required")]);
        assert_eq!(faults(&finance.post(ACCOUNTS, &draft("bank", json!(["hardship"])))), [("/purposes", "not_a_fund")]);
        assert_eq!(clerk.post(ACCOUNTS, &draft("bank", Value::Null)).status, 403);
        assert_eq!(clerk.get(ACCOUNTS).status, 403);
        let bank = account(&finance, &zz, "bank", &json!({}));
        let cash = account(&finance, &zz, "cash", &json!({}));
        let fund = account(&finance, &zz, "unrestricted", &json!({}));
        let fiscal = account(&finance, &zz, "fiscal", &json!({}));
        let theirs = account(&county, &dengfeng, "bank", &json!({}));
        assert_eq!(county.get(&format!("{ACCOUNTS}/{bank}")).status, 404);

        // What comes in, goes out and is moved has its two sides.
        let wrong = |kind: &str, debit: &str, credit: &str| {
            let answer = finance.post(VOUCHERS, &voucher(&zz, kind, debit, credit, 1));
            answer.faults().into_iter().map(|(at, code)| (at.to_owned(), code.to_owned())).collect::<Vec<_>>()
        };
        let told = |at: &str, code: &str| vec![(at.to_owned(), code.to_owned())];
        assert_eq!(wrong("opening", &fund, &bank), told("/credit_account_id", "sides_disagree"));
        assert_eq!(wrong("transfer", &bank, &fund), told("/credit_account_id", "sides_disagree"));
        assert_eq!(wrong("appropriation", &bank, &fund), told("/credit_account_id", "sides_disagree"));
        assert_eq!(wrong("opening", &bank, &bank), told("/credit_account_id", "same_account"));
        assert_eq!(wrong("opening", &theirs, &fund), told("/debit_account_id", "account_of_another_organization"));
        // What is for a purpose can't be moved out from under it.
        let restricted = |purposes: Value| account(&finance, &zz, "restricted", &json!({"purposes": purposes}));
        let (both, school) = (restricted(json!(["hardship", "student_aid"])), restricted(json!(["student_aid"])));
        for (kind, credit) in [("transfer", &fund), ("expense", &bank), ("transfer", &both)] {
            assert_eq!(wrong(kind, &school, credit), told("/debit_account_id", "off_purpose"));
        }
        assert_eq!(wrong("transfer", &both, &school), []);
        let unknown = county.post(VOUCHERS, &voucher(&dengfeng, "opening", &theirs, &fund, 1));
        assert_eq!(faults(&unknown), [("/credit_account_id", "unknown_reference")]);
        for fen in [json!(0), json!(-5), json!(1.5)] {
            let mut draft = voucher(&zz, "opening", &bank, &fund, 1);
            draft["amount_fen"] = fen;
            assert_eq!(finance.post(VOUCHERS, &draft).status, 422);
        }

        // Nothing moves until another has posted it.
        let made = made(finance.post(VOUCHERS, &voucher(&zz, "opening", &bank, &fund, 500_000)));
        let path = at(&made);
        assert_eq!(step(&leader, &path, "post", &json!({})).code(), "step_not_allowed");
        assert_eq!(step(&finance, &path, "submit", &json!({})).status, 200);
        assert_eq!(step(&finance, &path, "post", &json!({})).status, 403);
        assert_eq!(balance(&finance, &bank), 0);
        assert_eq!(step(&leader, &path, "return", &json!({"reason": "金额不符"})).body["state"], "draft");
        let edited = finance.patch(&path, "\"3\"", &json!({"amount_fen": 600_000}));
        assert_eq!((edited.status, &edited.body["reason"]), (200, &json!("金额不符")), "{edited:?}");
        assert_eq!(step(&finance, &path, "submit", &json!({})).body["reason"], Value::Null);
        let done = step(&leader, &path, "post", &json!({}));
        assert_eq!((done.status, &done.body["allowed_actions"]), (200, &json!([])), "{done:?}");
        assert_eq!(second.get(&path).body["allowed_actions"], json!(["reverse"]), "by another hand than the one that posted");
        assert_eq!((balance(&finance, &bank), balance(&finance, &fund)), (600_000, 600_000));
        assert_eq!(finance.patch(&path, done.header("ETag").expect("a version"), &json!({"amount_fen": 1})).code(), "step_not_allowed");
        assert_eq!(finance.delete(&path).code(), "step_not_allowed");

        // A transfer stays on its side; an appropriation goes into the fiscal fund.
        posted(&finance, &leader, &voucher(&zz, "transfer", &cash, &bank, 100_000));
        posted(&finance, &leader, &voucher(&zz, "appropriation", &bank, &fiscal, 50_000));
        let balances = [&bank, &cash, &fund, &fiscal].map(|id| balance(&finance, id));
        assert_eq!(balances, [550_000, 100_000, 600_000, 50_000]);

        // What isn't there can't be moved, and both figures are told.
        let too_much = at(&crate::welfare::made(finance.post(VOUCHERS, &voucher(&zz, "transfer", &bank, &cash, 100_001))));
        step(&finance, &too_much, "submit", &json!({}));
        let refused = step(&leader, &too_much, "post", &json!({}));
        assert_eq!((refused.status, refused.code()), (409, "conflict"));
        assert_eq!(refused.body["accounts"][0]["balance_fen"], 100_000);
        assert_eq!(refused.body["accounts"][0]["needed_fen"], 100_001);
        let message = refused.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("1000.00") && message.contains("1000.01") && message.contains("0.01"), "{message}");
        assert_eq!(step(&finance, &too_much, "cancel", &json!({"reason": "作废"})).body["state"], "cancelled");

        // Undone by a third hand, with its opposite linked both ways; and not when the money is gone.
        assert_eq!(step(&leader, &path, "reverse", &json!({"reason": "重复入账"})).status, 403);
        assert_eq!(step(&second, &path, "reverse", &json!({"reason": "重复入账"})).code(), "conflict");
        let small = posted(&finance, &leader, &voucher(&zz, "income", &cash, &fund, 70));
        let undone = step(&second, &small, "reverse", &json!({"reason": "重复入账"}));
        assert_eq!((undone.status, &undone.body["state"]), (200, &json!("reversed")), "{undone:?}");
        assert_eq!(step(&second, &small, "reverse", &json!({"reason": "重复入账"})).code(), "step_not_allowed");
        let id = small.rsplit('/').next().expect("an id");
        let both = finance.get(&format!("{TRANSACTIONS}?voucher_id={id}&sort=created_at"));
        let [first, opposite] = both.body["items"].as_array().expect("items").as_slice() else { panic!("{both:?}") };
        assert_eq!((&first["reversed_by_id"], &opposite["reverses_id"]), (&opposite["id"], &first["id"]));
        assert_eq!((&first["entries"][0]["debit_fen"], &first["entries"][0]["credit_fen"]), (&json!(70), &Value::Null));
        assert_eq!(first["entries"][0]["account_id"], opposite["entries"][1]["account_id"]);
        assert_eq!(balance(&finance, &cash), 100_000);

        // An account with money in it stays in use; an empty one is archived, and posted to no more.
        assert_eq!(step(&finance, &format!("{ACCOUNTS}/{cash}"), "archive", &json!({})).code(), "conflict");
        let empty = account(&finance, &zz, "cash", &json!({}));
        assert_eq!(step(&finance, &format!("{ACCOUNTS}/{empty}"), "archive", &json!({})).body["status"], "archived");
        let late = at(&crate::welfare::made(finance.post(VOUCHERS, &voucher(&zz, "income", &empty, &fund, 1))));
        step(&finance, &late, "submit", &json!({}));
        let closed = step(&leader, &late, "post", &json!({}));
        assert_eq!((closed.status, faults(&closed)), (409, vec![("", "account_archived")]));
        assert_eq!(finance.patch(&format!("{ACCOUNTS}/{bank}"), "\"1\"", &json!({"kind": "cash"})).faults(), [("/kind", "account_in_use")]);
        assert_eq!(
            finance.patch(&format!("{ACCOUNTS}/{fund}"), "\"1\"", &json!({"purposes": ["hardship"]})).faults(),
            [("/purposes", "account_in_use")]
        );
        assert_eq!(finance.delete(&format!("{ACCOUNTS}/{bank}")).code(), "still_referenced");
        clean(host);
    });
}

#[test]
fn a_payment_comes_out_of_a_fund_that_is_for_it() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let second = host.user("second", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let county = host.user("county", Role::Finance, Some("zz-dengfeng"));
        let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let draft = |organization: &Value, channel: &str, fen: i64| json!({"organization_id": organization, "programme_id": programme.id(), "people": 1, "amount_fen": fen, "channel": channel, "year": 2022});
        let own = purse(&finance, &leader, &zz, "unrestricted", 10_000);
        let path = approved(&clerk, &leader, &draft(&zz, "own", 6_000));
        let pay = |purse: &Purse| step(&finance, &path, "pay", &purse.paid("2022-06-17"));

        // Everything about the purse that is wrong, and nothing moved.
        let nothing = step(&finance, &path, "pay", &json!({"paid_on": "2022-06-17"}));
        assert_eq!(faults(&nothing), [("/fund_id", "required"), ("/account_id", "required")]);
        let swapped = Purse { fund: own.account.clone(), account: own.fund.clone() };
        assert_eq!(faults(&pay(&swapped)), [("/fund_id", "not_a_fund"), ("/account_id", "not_a_money_account")]);
        let fiscal = account(&finance, &zz, "fiscal", &json!({}));
        assert_eq!(faults(&pay(&Purse { fund: fiscal, account: own.account.clone() })), [("/fund_id", "fund_of_another_channel")]);
        let school = account(&finance, &zz, "restricted", &json!({"purposes": ["student_aid"]}));
        let off = pay(&Purse { fund: school, account: own.account.clone() });
        assert_eq!(faults(&off), [("/fund_id", "off_purpose")]);
        let message = off.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("助学") && message.contains("困难救助"), "{message}");
        let below = purse(&finance, &leader, &dengfeng, "unrestricted", 10_000);
        assert_eq!(faults(&pay(&below)), [("/fund_id", "fund_of_another_organization")]);
        let apart = Purse { fund: own.fund.clone(), account: below.account.clone() };
        assert_eq!(faults(&pay(&apart)), [("/account_id", "account_of_another_organization")]);
        let there = approved(&clerk, &leader, &draft(&dengfeng, "own", 1));
        let hidden = step(&county, &there, "pay", &own.paid("2022-06-17"));
        assert_eq!(faults(&hidden), [("/fund_id", "unknown_reference"), ("/account_id", "unknown_reference")]);
        assert_eq!(own.balances(&finance), (10_000, 10_000));

        let late = step(&finance, &path, "pay", &own.paid("2023-01-03"));
        assert_eq!(faults(&late), [("/paid_on", "outside_the_year")]);

        // Paid once, with both sides; then there isn't enough for another, and both figures say so.
        let paid = pay(&own);
        assert_eq!((paid.status, &paid.body["state"]), (200, &json!("paid")), "{paid:?}");
        assert_eq!(own.balances(&finance), (4_000, 4_000));
        let other = approved(&clerk, &leader, &draft(&zz, "own", 6_000));
        let refused = step(&finance, &other, "pay", &own.paid("2022-06-17"));
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        assert_eq!(refused.body["accounts"].as_array().map(Vec::len), Some(2));
        let message = refused.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("40.00") && message.contains("60.00"), "{message}");
        assert_eq!(clerk.get(&other).body["state"], "approved");

        // The city pays for its county.
        assert_eq!(step(&finance, &there, "pay", &own.paid("2022-06-17")).status, 200);
        assert_eq!(own.balances(&finance), (3_999, 3_999));

        // What an enterprise pays directly touches no fund.
        let direct = approved(&clerk, &leader, &draft(&zz, "enterprise_direct", 1_000_000));
        let named = step(&finance, &direct, "pay", &own.paid("2022-06-17"));
        assert_eq!(faults(&named), [("/fund_id", "no_fund_touched"), ("/account_id", "no_fund_touched")]);
        assert_eq!(step(&finance, &direct, "pay", &json!({"paid_on": "2022-06-17"})).status, 200);
        assert_eq!(own.balances(&finance), (3_999, 3_999));

        // Undone by another than who paid it: the money is back, and the disbursement counts no more.
        let figure = || clerk.get("/api/v1/figures/welfare.hardship.city.amount_fen?year=2022").body["value"].clone();
        assert_eq!(figure(), 1_006_000);
        let body = json!({"reason": "银行退回", "reversed_on": "2022-06-20"});
        assert_eq!(step(&finance, &path, "reverse", &body).status, 403);
        assert_eq!(step(&clerk, &path, "reverse", &body).status, 403);
        assert_eq!(
            faults(&step(&second, &path, "reverse", &json!({"reason": " ", "reversed_on": "2022-06-20"}))),
            [("/reason", "required")]
        );
        let undone = step(&second, &path, "reverse", &body);
        assert_eq!(
            (undone.status, &undone.body["state"], &undone.body["reason"]),
            (200, &json!("reversed"), &json!("银行退回")),
            "{undone:?}"
        );
        assert_eq!(undone.body["reversed_on"], "2022-06-20");
        assert_eq!(own.balances(&finance), (9_999, 9_999));
        assert_eq!(step(&second, &path, "reverse", &body).code(), "step_not_allowed");
        assert_eq!(figure(), 1_000_000);
        let id = path.rsplit('/').next().expect("an id");
        let posted = finance.get(&format!("{TRANSACTIONS}?disbursement_id={id}&count=true"));
        assert_eq!(posted.body["total"], 2);
        assert_eq!(finance.get(&format!("{TRANSACTIONS}?account_id={}&count=true", own.fund)).body["total"], 4);
        assert_eq!(county.get(&format!("{TRANSACTIONS}?count=true")).body["total"], 1, "their own opening");
        clean(host);
    });
}

/// A budget binds: what is approved and what is paid stands beside what was planned, and never comes to more.
#[test]
fn a_budget_is_kept() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let second = host.user("second", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let own = purse(&finance, &leader, &zz, "unrestricted", 10_000);
        let draft = |year: i32, kind: &str| json!({"organization_id": zz, "year": year, "programme_kind": kind, "planned_fen": 700});
        let budget = format!("/api/v1/budgets/{}", made(finance.post("/api/v1/budgets", &draft(2022, "hardship"))).id());
        let again = finance.post("/api/v1/budgets", &draft(2022, "hardship"));
        assert_eq!((again.code(), again.faults()), ("already_exists", vec![("/programme_kind", "budget_exists")]));
        made(finance.post("/api/v1/budgets", &draft(2023, "hardship")));
        assert_eq!(clerk.get("/api/v1/budgets").status, 403);
        let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let of = |fen: i64, channel: &str| json!({"organization_id": zz, "programme_id": programme.id(), "people": 1, "amount_fen": fen, "channel": channel, "year": 2022});
        let told = || {
            let one = finance.get(&budget);
            [&one.body["spent_fen"], &one.body["reserved_fen"], &one.body["left_fen"]].map(|fen| fen.as_i64().expect("fen"))
        };
        let tag = || finance.get(&budget).header("ETag").expect("a version").to_owned();

        let first = approved(&clerk, &leader, &of(300, "own"));
        let tags = [tag(), {
            assert_eq!(step(&finance, &first, "pay", &own.paid("2022-06-17")).status, 200);
            tag()
        }];
        assert_ne!(tags[0], tags[1]);
        assert_eq!(told(), [300, 0, 400]);
        let approved_only = approved(&clerk, &leader, &of(300, "own"));
        assert_eq!(told(), [300, 300, 100]);
        // An enterprise's money is not ours to plan.
        let direct = approved(&clerk, &leader, &of(9_000, "enterprise_direct"));
        assert_eq!(step(&finance, &direct, "pay", &json!({"paid_on": "2022-06-17"})).status, 200);
        assert_eq!(told(), [300, 300, 100]);

        // A yuan and one fen are left to be wished for: the figures are told, and nothing moved.
        let beyond = submitted(&clerk, &of(101, "own"));
        let refused = step(&leader, &beyond, "approve", &json!({}));
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        let figures = &refused.body["budgets"][0];
        assert_eq!([&figures["planned_fen"], &figures["given_fen"], &figures["wanted_fen"]], [&json!(700), &json!(600), &json!(101)]);
        assert!(
            ["7.00 元", "1.01 元"].iter().all(|figure| refused.body["detail"].as_str().is_some_and(|detail| detail.contains(figure))),
            "{refused:?}"
        );
        assert_eq!(clerk.get(&beyond).body["state"], "submitted");
        // What fits to the fen is approved.
        approved(&clerk, &leader, &of(100, "own"));
        assert_eq!(told(), [300, 400, 0]);

        // Less than is given can't be planned, and what something was given out of stays.
        let less = finance.patch(&budget, &tag(), &json!({"planned_fen": 699}));
        assert_eq!(less.faults(), [("/planned_fen", "below_what_is_given")]);
        assert_eq!(finance.patch(&budget, &tag(), &json!({"programme_kind": "student_aid"})).status, 409);
        assert_eq!(finance.delete(&budget).status, 409);
        // Nor is there room by calling the programme another name where that kind's budget is spent.
        let aid = json!({"organization_id": zz, "year": 2022, "programme_kind": "student_aid", "planned_fen": 699});
        let aid = format!("/api/v1/budgets/{}", made(finance.post("/api/v1/budgets", &aid)).id());
        let path = format!("{PROGRAMMES}/{}", programme.id());
        let before = clerk.get(&path).header("ETag").expect("a version").to_owned();
        let renamed = clerk.patch(&path, &before, &json!({"kind": "student_aid"}));
        assert_eq!((renamed.status, &renamed.body["budgets"][0]["given_fen"]), (409, &json!(700)), "{renamed:?}");
        assert_eq!(finance.get(&aid).body["left_fen"], 699);

        // What is cancelled or reversed is there again, and a larger budget lets through what waited.
        assert_eq!(step(&clerk, &approved_only, "cancel", &json!({"reason": "重复"})).status, 200);
        assert_eq!(told(), [300, 100, 300]);
        assert_eq!(step(&second, &first, "reverse", &json!({"reason": "退回", "reversed_on": "2022-06-20"})).status, 200);
        assert_eq!(told(), [0, 100, 600]);
        assert_eq!(step(&leader, &beyond, "approve", &json!({})).status, 200);
        let changed = finance.patch(&budget, &tag(), &json!({"planned_fen": 900}));
        assert_eq!((changed.status, &changed.body["left_fen"]), (200, &json!(699)), "{changed:?}");
        // Made after the fact, a budget covers the facts.
        let late = approved(
            &clerk,
            &leader,
            &json!({"organization_id": zz, "programme_id": programme.id(), "people": 1, "amount_fen": 500, "channel": "own", "year": 2021}),
        );
        let small = json!({"organization_id": zz, "year": 2021, "programme_kind": "hardship", "planned_fen": 499});
        assert_eq!(finance.post("/api/v1/budgets", &small).faults(), [("/planned_fen", "below_what_is_given")], "{late}");
        clean(host);
    });
}

/// Whoever posts first: donations get receipts without gaps, each organization's its own, and one that is undone keeps its.
#[test]
fn donations_have_receipts_without_gaps() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let second = host.user("second", Role::Leader, Some("zz"));
        let accounts = |of: &Value| (account(&finance, of, "bank", &json!({})), account(&finance, of, "donation", &json!({})));
        let (bank, fund) = accounts(&zz);
        let donation = |of: &Value, (bank, fund): (&str, &str), donor: Value| {
            let mut draft = voucher(of, "donation", bank, fund, 100);
            draft["donor"] = donor;
            draft
        };
        let nameless = finance.post(VOUCHERS, &donation(&zz, (&bank, &fund), Value::Null));
        assert_eq!(faults(&nameless), [("/donor", "donor_and_kind_disagree")]);
        let mut named = voucher(&zz, "transfer", &bank, &fund, 100);
        named["donor"] = json!("爱心市民");
        assert_eq!(faults(&finance.post(VOUCHERS, &named)), [("/donor", "donor_and_kind_disagree")]);
        let paths: Vec<String> = (0..16)
            .map(|_| {
                let path = at(&made(finance.post(VOUCHERS, &donation(&zz, (&bank, &fund), json!("爱心市民")))));
                step(&finance, &path, "submit", &json!({}));
                path
            })
            .collect();
        let mut numbers: Vec<i64> = std::thread::scope(|threads| {
            let posting: Vec<_> = paths
                .iter()
                .map(|path| {
                    let leader = &leader;
                    threads.spawn(move || {
                        loop {
                            let answer = step(leader, path, "post", &json!({}));
                            if answer.status == 200 {
                                return answer.body["receipt_number"].as_i64().expect("a number");
                            }
                            assert!([429, 503].contains(&answer.status), "{answer:?}");
                        }
                    })
                })
                .collect();
            posting.into_iter().map(|posting| posting.join().expect("a number")).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=16).collect::<Vec<_>>());
        let (bank, fund) = accounts(&dengfeng);
        let theirs = posted(&finance, &leader, &donation(&dengfeng, (&bank, &fund), json!("某企业")));
        let theirs = finance.get(&theirs).body;
        assert_eq!((&theirs["receipt_year"], &theirs["receipt_number"]), (&json!(2022), &json!(1)));
        let undone = step(&second, &paths[0], "reverse", &json!({"reason": "退回"}));
        assert_eq!((&undone.body["state"], undone.body["receipt_number"].is_number()), (&json!("reversed"), true), "{undone:?}");
        let found =
            finance.get(&format!("{VOUCHERS}?receipt_year=2022&receipt_number=7&organization_id={}", dengfeng.as_str().expect("an id")));
        assert_eq!(found.body["items"], json!([]));
        clean(host);
    });
}

/// A batch is paid whole, or not at all.
#[test]
fn a_batch_is_paid_as_one() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "慰问", "kind": "condolence", "form": "cash"})));
        let batch = made(clerk.post(
            BATCHES,
            &json!({"organization_id": zz, "programme_id": programme.id(), "name": "春节", "year": 2022, "control_fen": 15_000, "control_people": 150}),
        ));
        let path = format!("{BATCHES}/{}", batch.id());
        let roster: Vec<Value> = (0..150)
            .map(|_| json!({"organization_id": zz, "batch_id": batch.id(), "people": 1, "amount_fen": 100, "channel": "own"}))
            .collect();
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "roster")];
        let sent = clerk.send("POST", &format!("{DISBURSEMENTS}/batch"), &headers, Some(json!({"items": roster}).to_string().as_bytes()));
        assert_eq!(sent.status, 201, "{sent:?}");
        assert_eq!(step(&clerk, &path, "submit", &json!({})).status, 200);
        assert_eq!(step(&leader, &path, "approve", &json!({})).status, 200);
        let short = purse(&finance, &leader, &zz, "unrestricted", 14_999);
        let refused = step(&finance, &path, "pay", &short.paid("2022-01-28"));
        assert_eq!((refused.status, &refused.body["accounts"][0]["needed_fen"]), (409, &json!(15_000)), "{refused:?}");
        assert_eq!(clerk.get(&path).body["totals"]["by_state"], json!({"approved": 150}));
        assert_eq!(short.balances(&finance), (14_999, 14_999));
        posted(&finance, &leader, &voucher(&zz, "income", &short.account, &short.fund, 1));
        let paid = step(&finance, &path, "pay", &short.paid("2022-01-28"));
        assert_eq!(paid.body["totals"]["by_state"], json!({"paid": 150}), "{paid:?}");
        assert_eq!(short.balances(&finance), (0, 0));
        assert_eq!(finance.get(&format!("{TRANSACTIONS}?kind=payment&count=true")).body["total"], 150);
        clean(host);
    });
}

/// What is posted can't be changed even by who holds the database's password, unless they first take its triggers away;
/// and then the check names what they did.
#[test]
fn what_is_posted_stays() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let platform = host.sign_in("platform", yiyong::auth::UserKind::Person);
        let own = purse(&finance, &leader, &zz, "unrestricted", 10_000);
        let run = |sql: &str| host.service.db.run(false, |conn| Ok(diesel::sql_query(sql).execute(conn)?));
        let transaction = finance.get(TRANSACTIONS).body["items"][0]["id"].as_str().expect("an id").to_owned();
        let literal = |id: &str| if host.is_postgres() { format!("'{id}'") } else { format!("X'{}'", id.replace('-', "")) };
        for sql in [
            "UPDATE ledger_entries SET amount_fen = amount_fen + 1".to_owned(),
            "DELETE FROM ledger_entries".to_owned(),
            "UPDATE ledger_transactions SET summary = ''".to_owned(),
            "DELETE FROM ledger_transactions".to_owned(),
            // One entry more for a transaction that is closed, and one without a transaction.
            format!("INSERT INTO ledger_entries VALUES ({}, 3, {}, 2, 1, 10001)", literal(&transaction), literal(&own.account)),
            format!("INSERT INTO ledger_entries VALUES ({0}, 1, {0}, 2, 1, 10001)", literal(&own.account)),
        ] {
            assert!(run(&sql).is_err(), "{sql}");
        }
        assert_eq!(own.balances(&finance), (10_000, 10_000));
        let answer = platform.get("/api/v1/integrity");
        assert_eq!((answer.status, &answer.body["clean"]), (200, &json!(true)), "{answer:?}");
        assert_eq!(finance.get("/api/v1/integrity").status, 403);
        assert_eq!(host.user("auditor", Role::Auditor, Some("zz-dengfeng")).get("/api/v1/integrity").status, 403);

        let table = |name: &str| {
            if host.is_postgres() {
                vec![format!("ALTER TABLE {name} DISABLE TRIGGER USER")]
            } else {
                ["update", "delete"].map(|verb| format!("DROP TRIGGER {name}_stay_{verb}")).to_vec()
            }
        };
        for sql in table("ledger_entries").into_iter().chain(table("ledger_transactions")) {
            run(&sql).expect("the triggers are gone");
        }
        run(&format!("UPDATE ledger_entries SET amount_fen = amount_fen - 1 WHERE account_id = {}", literal(&own.account)))
            .expect("changed");
        let answer = platform.get("/api/v1/integrity");
        assert_eq!(answer.body["clean"], false);
        let found: BTreeMap<&str, &Value> = answer.body["checks"]
            .as_array()
            .expect("checks")
            .iter()
            .filter(|check| check["offenders"] != 0)
            .map(|check| (check["code"].as_str().expect("a code"), &check["first"][0]))
            .collect();
        assert_eq!(found["transactions_balanced"], transaction.as_str());
        assert_eq!(found["balances_recomputed"], own.account.as_str());
        assert_eq!(found["money_is_for_something"], &zz);
    });
}

/// Sixty-four payments at once out of one fund that has enough for half of them.
#[test]
fn a_fund_is_spent_to_the_last_fen_and_no_further() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let draft =
            json!({"organization_id": zz, "programme_id": programme.id(), "people": 1, "amount_fen": 100, "channel": "own", "year": 2022});
        let own = purse(&finance, &leader, &zz, "unrestricted", 3_200);
        let paths: Vec<String> = (0..64).map(|_| approved(&clerk, &leader, &draft)).collect();
        let body = own.paid("2022-06-17");
        let answers: Vec<Answer> = std::thread::scope(|threads| {
            let tries: Vec<_> = paths
                .iter()
                .map(|path| {
                    let (finance, body) = (&finance, &body);
                    // A busy database asks to come again; the key makes that safe.
                    threads.spawn(move || {
                        let key = format!("once-{path}");
                        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())];
                        loop {
                            let answer = finance.send("POST", &format!("{path}/pay"), &headers, Some(body.to_string().as_bytes()));
                            if answer.status != 503 && answer.status != 429 {
                                return answer;
                            }
                        }
                    })
                })
                .collect();
            tries.into_iter().map(|tried| tried.join().expect("an answer")).collect()
        });
        let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(200), count(409)), (32, 32), "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert_eq!(own.balances(&finance), (0, 0));
        let told = |answer: &Answer| answer.body["accounts"].as_array().is_some_and(|all| all.iter().all(|one| one["balance_fen"] == 0));
        assert!(answers.iter().filter(|answer| answer.status == 409).all(told));

        // One key fifty times at once is one payment, told to all who asked.
        posted(&finance, &leader, &voucher(&zz, "income", &own.account, &own.fund, 1_000));
        let waiting = paths.iter().zip(&answers).find(|(_, answer)| answer.status == 409).map(|(path, _)| path).expect("one that waits");
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "fifty")];
        let text = body.to_string();
        let statuses: Vec<u16> = std::thread::scope(|threads| {
            let tries: Vec<_> = (0..50)
                .map(|_| {
                    let (finance, headers, body) = (&finance, &headers, &text);
                    threads.spawn(move || finance.send("POST", &format!("{waiting}/pay"), headers, Some(body.as_bytes())).status)
                })
                .collect();
            tries.into_iter().map(|tried| tried.join().expect("an answer")).collect()
        });
        assert!(statuses.iter().all(|status| [200, 409].contains(status)) && statuses.contains(&200), "{statuses:?}");
        assert_eq!(own.balances(&finance), (900, 900));

        // Approving and cancelling at once: one of them, never half of both.
        for _ in 0..8 {
            let path = format!("{DISBURSEMENTS}/{}", made(clerk.post(DISBURSEMENTS, &draft)).id());
            step(&clerk, &path, "submit", &json!({}));
            let (yes, no) = std::thread::scope(|threads| {
                let approving = threads.spawn(|| step(&leader, &path, "approve", &json!({})).status);
                let cancelling = threads.spawn(|| step(&clerk, &path, "cancel", &json!({"reason": "撤回"})).status);
                (approving.join().expect("an answer"), cancelling.join().expect("an answer"))
            });
            let state = clerk.get(&path).body["state"].clone();
            match (yes, no) {
                (200, 200) | (409, 200) => assert_eq!(state, "cancelled"),
                (200, 409) => assert_eq!(state, "approved"),
                other => panic!("{other:?}"),
            }
        }
        clean(host);
    });
}

/// Many random deeds, each of which a model of a few lines does too: every balance and every state agree.
#[test]
fn the_ledger_is_what_a_simple_model_says() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let finance = host.user("finance", Role::Finance, Some("zz"));
        let other = host.user("other", Role::Finance, Some("zz"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        let second = host.user("second", Role::Leader, Some("zz"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
        let ids = ["bank", "cash", "unrestricted", "donation"].map(|kind| account(&finance, &zz, kind, &json!({})));
        let mut balances = [0_i64; 4];
        // Amount, fund (by place in `ids`), state.
        let mut given: Vec<(String, i64, usize, &str)> = Vec::new();
        let mut vouchers: Vec<(String, usize, usize, i64, bool)> = Vec::new();
        let mut random = StdRng::seed_from_u64(2022);
        let moved = |balances: &mut [i64; 4], debit: usize, credit: usize, fen: i64| {
            let mut after = *balances;
            after[debit] += if debit < 2 { fen } else { -fen };
            after[credit] -= if credit < 2 { fen } else { -fen };
            let enough = after.iter().all(|balance| *balance >= 0);
            if enough {
                *balances = after;
            }
            enough
        };
        for round in 0..120 {
            let fen = random.random_range(1..400);
            match random.random_range(0..6) {
                // Something comes in, or goes over.
                0 | 1 => {
                    let (kind, debit, credit) = match random.random_range(0..4) {
                        0 => ("income", random.random_range(0..2), random.random_range(2..4)),
                        1 => ("transfer", 0, 1),
                        2 => ("transfer", 2, 3),
                        _ => ("expense", random.random_range(2..4), random.random_range(0..2)),
                    };
                    let fen = if kind == "income" { 10 * fen } else { fen };
                    let path = at(&made(finance.post(VOUCHERS, &voucher(&zz, kind, &ids[debit], &ids[credit], fen))));
                    step(&finance, &path, "submit", &json!({}));
                    let status = step(&leader, &path, "post", &json!({})).status;
                    let expected = moved(&mut balances, debit, credit, fen);
                    assert_eq!(status, if expected { 200 } else { 409 }, "{round}");
                    if expected {
                        vouchers.push((path, debit, credit, fen, true));
                    }
                }
                2 => {
                    let fund = random.random_range(2..4);
                    let channel = if fund == 2 { "own" } else { "donation" };
                    let draft = json!({"organization_id": zz, "programme_id": programme.id(), "people": 1, "amount_fen": fen, "channel": channel, "year": 2022});
                    given.push((approved(&clerk, &leader, &draft), fen, fund, "approved"));
                }
                3 | 4 if !given.is_empty() => {
                    let place = random.random_range(0..given.len());
                    let (path, fen, fund, state) = &mut given[place];
                    let money = random.random_range(0..2);
                    let body = json!({"paid_on": "2022-06-17", "fund_id": ids[*fund % 10], "account_id": ids[money]});
                    let status = step(&finance, path, "pay", &body).status;
                    let expected = *state == "approved" && moved(&mut balances, *fund, money, *fen);
                    assert_eq!(status, if expected { 200 } else { 409 }, "{round}");
                    if expected {
                        // Where it was paid from is where a reversal puts it back.
                        *fund += 10 * (money + 1);
                        *state = "paid";
                    }
                }
                _ if !given.is_empty() && random.random_bool(0.6) => {
                    let place = random.random_range(0..given.len());
                    let (path, fen, fund, state) = &mut given[place];
                    let status = step(&other, path, "reverse", &json!({"reason": "退回", "reversed_on": "2022-06-20"})).status;
                    let expected = *state == "paid" && moved(&mut balances, *fund / 10 - 1, *fund % 10, *fen);
                    assert_eq!(status, if expected { 200 } else { 409 }, "{round}");
                    if expected {
                        *state = "reversed";
                    }
                }
                _ if !vouchers.is_empty() => {
                    let place = random.random_range(0..vouchers.len());
                    let (path, debit, credit, fen, standing) = &mut vouchers[place];
                    let status = step(&second, path, "reverse", &json!({"reason": "有误"})).status;
                    let expected = *standing && moved(&mut balances, *credit, *debit, *fen);
                    assert_eq!(status, if expected { 200 } else { 409 }, "{round}");
                    *standing &= !expected;
                }
                _ => {}
            }
            let now: Vec<i64> = ids.iter().map(|id| balance(&finance, id)).collect();
            assert_eq!(now, balances, "{round}");
        }
        for (path, _, _, state) in &given {
            assert_eq!(clerk.get(path).body["state"], *state);
        }
        assert!(given.iter().any(|(.., state)| *state == "paid") && given.iter().any(|(.., state)| *state == "reversed"), "{given:?}");
        clean(host);
    });
}
