//! Integrity on demand: everything that can be told of the records twice is told again and compared.
//!
//! Each check is one statement that selects the ids of what is wrong, so it sees one state of the database; none of them
//! finds anything in a service that works. Whoever may read all of the audit may ask; so may the command line.

use actix_web::{HttpRequest, HttpResponse, get, web};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Facts;
use crate::audit;
use crate::audit::api::VerifyQuery;
use crate::audit::verify::Verification;
use crate::auth::{Auth, Caller};
use crate::db::{AnyConnection, Db};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Area};
use crate::resources::references::FOREIGN_KEYS;
use crate::schema::organizations;
use crate::types::{Id, Instant, sql};

/// One thing that is told twice.
struct Check {
    code: &'static str,
    label: (&'static str, &'static str),
    /// How many are wrong, and the first of them.
    count: &'static str,
    first: &'static str,
}

macro_rules! checks {
    ($($code:literal, $zh:literal, $en:literal, $($offenders:literal)+;)+) => {
        const CHECKS: &[Check] = &[$(Check {
            code: $code,
            label: ($zh, $en),
            count: concat!("SELECT count(*) AS count FROM (", $($offenders),+, ") AS offenders"),
            first: concat!("SELECT id FROM (", $($offenders),+, ") AS offenders ORDER BY id LIMIT 10"),
        }),+];
    };
}

// Each selects `id` of what is wrong, in SQL that both databases read alike.
checks! {
    "transactions_balanced", "账务记录借贷相等", "the entries of each transaction come to zero",
        "SELECT t.id AS id FROM ledger_transactions t LEFT JOIN ledger_entries e ON e.transaction_id = t.id GROUP BY t.id, t.amount_fen "
        "HAVING count(e.line) < 2 OR sum(e.amount_fen) <> 0 OR sum(CASE WHEN e.amount_fen > 0 THEN e.amount_fen ELSE 0 END) <> t.amount_fen";
    "balances_recomputed", "账户余额等于分录合计", "each entry's balance is the sum of the account's entries up to it, numbered without gaps",
        "SELECT DISTINCT account_id AS id FROM ("
        "SELECT e.account_id, e.sequence, e.balance_fen, "
        "sum(CASE WHEN a.kind IN ('bank', 'cash') THEN e.amount_fen ELSE -e.amount_fen END) OVER (PARTITION BY e.account_id ORDER BY e.sequence) AS recomputed, "
        "row_number() OVER (PARTITION BY e.account_id ORDER BY e.sequence) AS place "
        "FROM ledger_entries e JOIN accounts a ON a.id = e.account_id) AS told WHERE recomputed <> balance_fen OR place <> sequence";
    "no_negative_balance", "没有负数余额", "no account was ever below zero",
        "SELECT DISTINCT account_id AS id FROM ledger_entries WHERE balance_fen < 0";
    "money_is_for_something", "各单位存款与资金相等", "what an organization holds is what its funds are for",
        "SELECT a.organization_id AS id FROM ledger_entries e JOIN accounts a ON a.id = e.account_id GROUP BY a.organization_id HAVING sum(e.amount_fen) <> 0";
    "payments_posted", "已支付的发放各有一笔账", "what was paid out of a fund was posted once, with its amount, and nothing else was",
        "SELECT d.id AS id FROM disbursements d JOIN organizations o ON o.id = d.organization_id "
        "LEFT JOIN ledger_transactions t ON t.disbursement_id = d.id AND t.reverses_id IS NULL "
        "WHERE (d.form = 'cash' AND d.channel <> 'enterprise_direct' AND o.kind NOT IN ('county_collective', 'joint_collective') "
        "AND d.state IN ('paid', 'acknowledged', 'reversed')) <> (t.id IS NOT NULL) OR t.amount_fen <> d.amount_fen";
    "reversals_posted", "已冲销的发放各有一笔冲销账", "what was reversed was posted back once, and nothing else was",
        "SELECT d.id AS id FROM disbursements d JOIN ledger_transactions t ON t.disbursement_id = d.id AND t.reverses_id IS NULL "
        "LEFT JOIN ledger_transactions r ON r.reverses_id = t.id WHERE (d.state = 'reversed') <> (r.id IS NOT NULL) OR r.amount_fen <> t.amount_fen";
    "vouchers_posted", "已过账的凭证各有一笔账", "each posted voucher has its transaction, and no other voucher has one",
        "SELECT v.id AS id FROM vouchers v LEFT JOIN ledger_transactions t ON t.voucher_id = v.id AND t.reverses_id IS NULL "
        "LEFT JOIN ledger_transactions r ON r.reverses_id = t.id "
        "WHERE (v.state IN ('posted', 'reversed')) <> (t.id IS NOT NULL) OR (v.state = 'reversed') <> (r.id IS NOT NULL) OR t.amount_fen <> v.amount_fen";
    "receipts_without_gaps", "捐赠票据号连续", "the receipts of each organization and year are numbered without gaps",
        "SELECT organization_id AS id FROM vouchers WHERE receipt_number IS NOT NULL GROUP BY organization_id, receipt_year "
        "HAVING min(receipt_number) <> 1 OR max(receipt_number) <> count(*)";
    "states_legal", "发放状态与经办人相符", "each disbursement's state has the people who brought it there, and they differ",
        "SELECT id FROM disbursements WHERE "
        "(state IN ('first_approved', 'approved', 'paid', 'delivered', 'acknowledged', 'reversed') AND approved_by IS NULL) OR "
        "(state IN ('draft', 'submitted', 'first_approved') AND second_approved_by IS NOT NULL) OR "
        "(state IN ('paid', 'delivered', 'acknowledged', 'reversed')) <> (paid_by IS NOT NULL) OR "
        "(state = 'reversed') <> (reversed_by IS NOT NULL) OR "
        "(state = 'paid' AND form <> 'cash') OR (state = 'delivered' AND form <> 'in_kind') OR "
        "approved_by = prepared_by OR second_approved_by IN (prepared_by, approved_by, paid_by) OR paid_by = prepared_by OR paid_by = approved_by OR reversed_by = paid_by";
    "control_totals", "办结批次与控制数相符", "a batch that went out whole came to its control totals",
        "SELECT b.id AS id FROM welfare_batches b JOIN disbursements d ON d.batch_id = b.id GROUP BY b.id, b.control_people, b.control_fen "
        "HAVING sum(CASE WHEN d.state IN ('paid', 'delivered', 'acknowledged', 'reversed') THEN 0 ELSE 1 END) = 0 "
        "AND (sum(d.amount_fen) <> b.control_fen OR sum(d.people) <> b.control_people)";
    "budgets_kept", "批准和支付不超过预算", "what is approved and paid of a year's kind comes to no more than its budget",
        "SELECT b.id AS id FROM budgets b JOIN disbursements d ON d.organization_id = b.organization_id AND d.year = b.year "
        "JOIN welfare_programmes p ON p.id = d.programme_id AND p.kind = b.programme_kind WHERE d.channel <> 'enterprise_direct' "
        "AND d.state IN ('approved', 'paid', 'delivered', 'acknowledged') GROUP BY b.id, b.planned_fen HAVING sum(d.amount_fen) > b.planned_fen";
    "changes_audited", "每次变更都有审计记录", "each change of money left one audit event",
        "SELECT d.id AS id FROM disbursements d WHERE d.version <> (SELECT count(*) FROM audit_events a WHERE a.record_id = d.id AND a.resource = 'disbursements' AND a.outcome = 'done' "
        "AND a.action IN ('create', 'update', 'submit', 'return', 'approve', 'reject', 'pay', 'deliver', 'acknowledge', 'cancel', 'reverse')) "
        "UNION ALL SELECT v.id AS id FROM vouchers v WHERE v.version <> (SELECT count(*) FROM audit_events a WHERE a.record_id = v.id AND a.resource = 'vouchers' AND a.outcome = 'done' "
        "AND a.action IN ('create', 'update', 'submit', 'return', 'post', 'cancel', 'reverse'))";
    "closure_is_the_tree", "机构层级表与上下级关系一致", "the closure of the tree of organizations is what the parents say",
        "WITH RECURSIVE paths (ancestor_id, descendant_id, depth) AS ("
        "SELECT id, id, 0 FROM organizations UNION ALL "
        "SELECT p.ancestor_id, o.id, p.depth + 1 FROM paths p JOIN organizations o ON o.parent_id = p.descendant_id WHERE p.depth < 100) "
        "SELECT p.descendant_id AS id FROM paths p LEFT JOIN organization_closure c "
        "ON c.ancestor_id = p.ancestor_id AND c.descendant_id = p.descendant_id AND c.depth = p.depth WHERE c.ancestor_id IS NULL "
        "UNION ALL SELECT c.descendant_id AS id FROM organization_closure c LEFT JOIN paths p "
        "ON c.ancestor_id = p.ancestor_id AND c.descendant_id = p.descendant_id AND c.depth = p.depth WHERE p.ancestor_id IS NULL";
    "transfers_agree", "银行转账与账上支付一致", "a line of a transfer is of a payment that was posted from its account with its amount, and a transfer comes to its lines",
        "SELECT l.id AS id FROM bank_transfer_lines l JOIN bank_transfers b ON b.id = l.transfer_id WHERE NOT EXISTS ("
        "SELECT 1 FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id WHERE t.disbursement_id = l.disbursement_id "
        "AND t.reverses_id IS NULL AND e.account_id = b.account_id AND e.amount_fen = -l.amount_fen) "
        "UNION ALL SELECT b.id AS id FROM bank_transfers b LEFT JOIN bank_transfer_lines l ON l.transfer_id = b.id GROUP BY b.id, b.lines, b.amount_fen "
        "HAVING count(l.id) <> b.lines OR sum(l.amount_fen) <> b.amount_fen";
    "notices_recounted", "公示与其名单相符", "a published notice has as many lines as it says and amounts only where it tells them, and was published by another than prepared it",
        "SELECT n.id AS id FROM public_notices n LEFT JOIN public_notice_lines l ON l.notice_id = n.id "
        "GROUP BY n.id, n.line_count, n.amounts, n.total_fen, n.prepared_by, n.published_by "
        "HAVING count(l.position) <> coalesce(n.line_count, 0) OR n.published_by = n.prepared_by "
        "OR (n.amounts <> 'each' AND count(l.amount_fen) > 0) OR (n.amounts = 'each' AND sum(l.amount_fen) <> n.total_fen)";
    "stock_recomputed", "宣传品库存等于出入库合计", "the stock of goods is what was made less what was issued",
        "SELECT g.id AS id FROM goods g LEFT JOIN goods_movements m ON m.goods_id = g.id GROUP BY g.id, g.stock "
        "HAVING g.stock <> coalesce(sum(CASE WHEN m.direction = 'made' THEN m.quantity ELSE -m.quantity END), 0)";
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckResult {
    #[schema(example = "transactions_balanced")]
    pub code: &'static str,
    pub label_zh: &'static str,
    pub label_en: &'static str,
    /// How many are wrong.
    pub offenders: i64,
    /// The ids of the first of them: of a transaction, an account, an organization, a disbursement, as the check says.
    pub first: Vec<Id>,
}

/// What all checks found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Integrity {
    /// Whether nothing is wrong.
    pub clean: bool,
    pub checked_at: Instant,
    pub checks: Vec<CheckResult>,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Offender {
    #[diesel(sql_type = sql::Uuid)]
    id: Id,
}

/// Runs every check.
pub fn check(conn: &mut AnyConnection) -> Result<Integrity> {
    let mut checks = Vec::with_capacity(CHECKS.len() + 1);
    for check in CHECKS {
        let offenders = diesel::sql_query(check.count).get_result::<Count>(conn)?.count;
        let first: Vec<Offender> = if offenders > 0 { diesel::sql_query(check.first).load(conn)? } else { Vec::new() };
        checks.push(CheckResult {
            code: check.code,
            label_zh: check.label.0,
            label_en: check.label.1,
            offenders,
            first: first.into_iter().map(|offender| offender.id).collect(),
        });
    }
    let mut orphans = CheckResult {
        code: "no_orphans",
        label_zh: "没有指向不存在记录的引用",
        label_en: "whatever is referred to is there",
        offenders: 0,
        first: Vec::new(),
    };
    for key in FOREIGN_KEYS {
        let lost: Vec<Offender> = diesel::sql_query(key.orphans).load(conn)?;
        orphans.offenders += i64::try_from(lost.len()).unwrap_or(i64::MAX);
        orphans.first.extend(lost.into_iter().map(|offender| offender.id));
        orphans.first.truncate(10);
    }
    checks.push(orphans);
    Ok(Integrity { clean: checks.iter().all(|check| check.offenders == 0), checked_at: Instant::now(), checks })
}

impl Integrity {
    /// With what a walk along the audit log found.
    #[must_use]
    pub fn with_audit(mut self, walked: &Verification) -> Self {
        self.checks.push(CheckResult {
            code: "audit_chain",
            label_zh: "审计日志完整、未被改动",
            label_en: "the audit log is whole and as it was written",
            offenders: i64::try_from(walked.faults.len()).unwrap_or(i64::MAX),
            first: walked.faults.iter().filter_map(|fault| fault.event_id).take(10).collect(),
        });
        self.clean &= walked.faults.is_empty();
        self
    }
}

/// Checks the records against each other: the ledger, states, control totals, the tree, references.
#[utoipa::path(operation_id = "integrity", tag = "service", summary = "数据完整性检查 / Check the records against each other",
    description = "For auditors of the highest organization. Every check counts what is wrong and names the first ten. Of the audit log it sees what ten seconds are enough for: `GET /audit/verify` goes on.",
    responses((status = 200, description = "What was found.", body = Integrity)))]
#[get("/integrity")]
pub async fn integrity(
    request: HttpRequest,
    caller: Caller,
    facts: web::Data<Facts>,
    auth: web::Data<Auth>,
    db: web::Data<Db>,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Audit, Action::Read)?;
    crate::web::handlers::no_parameters(&request)?;
    let found = db.read(move |conn| {
        let roots: Vec<Id> = organizations::table.filter(organizations::parent_id.is_null()).select(organizations::id).load(conn)?;
        if !scope.lacks(conn, roots)?.is_empty() {
            return Err(Error::because(
                Code::Forbidden,
                "完整性检查涉及全部单位，须由最上级单位的审计或平台管理员进行",
                "the check goes over all organizations, and is for an auditor of the highest one or a platform administrator",
            ));
        }
        check(conn)
    });
    let found = found.await?;
    let walked = audit::api::walked(&facts, &auth, &db, VerifyQuery::default(), caller.language).await?;
    Ok(HttpResponse::Ok().json(found.with_audit(&walked)))
}
