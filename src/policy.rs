//! Who may do what, and where: the only authorization table, and the only maker of a [`Scope`].
//!
//! A store asks for a `&Scope`, and only [`Actor::may`] gives one, so a query without a decision does not compile.
//!
//! # Exports
//!
//! Who may read a list may have it as a file, with the same filter and in the same scope: who turns its pages has the same in an
//! hour, and an auditor's work is to compare lists. So an export is decided by [`Action::Read`] of the resource's area, and
//! each is in the audit log with its filter and its number of rows. Numbers stand in it masked, as in the list. Whole ID
//! numbers and phones take [`Action::Reveal`] of [`Area::People`] besides, a purpose that the audit keeps, and patience
//! (`YIYONG_FULL_EXPORTS_AN_HOUR`), and are told of those persons alone who are in reach of that. An account number stands whole in no
//! list: [`Action::Export`] is the file for the bank, which finance alone may write.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use diesel::prelude::*;

use crate::db::{AnyConnection, Fit, Part, Reach, Subset, Tree};
use crate::error::{Code, Error, Result};
use crate::schema::organizations;
use crate::types::{Id, TextEnum, text_enum};

text_enum! {
    /// What a person is to the association.
    Role {
        PlatformAdmin = "platform_admin", "平台管理员", "platform administrator";
        ProvinceViewer = "province_viewer", "省级查看员", "province viewer";
        OrgAdmin = "org_admin", "协会管理员", "organization administrator";
        Leader = "leader", "领导（审批）", "leader (approves)";
        Clerk = "clerk", "文员", "clerk";
        PublicityOfficer = "publicity_officer", "宣传专员", "publicity officer";
        WelfareOfficer = "welfare_officer", "救助保障专员", "welfare officer";
        Finance = "finance", "财务", "finance";
        Auditor = "auditor", "审计", "auditor";
        StationHead = "station_head", "工作站站长", "station head";
        LiaisonOfficer = "liaison_officer", "联络员", "liaison officer";
        Volunteer = "volunteer", "志愿者（本人）", "volunteer (self)";
        HeroFamily = "hero_family", "见义勇为人员及家属（本人）", "hero or family (self)";
        Service = "service", "系统对接", "machine client";
    }
}

text_enum! {
    /// What can be done to a record.
    Action {
        Read = "read", "查看", "read";
        Create = "create", "新建", "create";
        Update = "update", "修改", "update";
        Delete = "delete", "删除", "delete";
        Import = "import", "导入", "import";
        Export = "export", "导出", "export";
        Move = "move", "调整隶属", "move";
        Archive = "archive", "归档", "archive";
        Advance = "advance", "登记阶段", "record a stage";
        Retract = "retract", "撤销阶段", "take back a stage";
        Reveal = "reveal", "查看完整号码", "reveal";
        Submit = "submit", "提交", "submit";
        Return = "return", "退回", "return";
        Approve = "approve", "批准", "approve";
        Reject = "reject", "驳回", "reject";
        Pay = "pay", "支付", "pay";
        Deliver = "deliver", "交付", "deliver";
        Acknowledge = "acknowledge", "确认收讫", "acknowledge";
        Cancel = "cancel", "取消", "cancel";
        Post = "post", "过账", "post";
        Reverse = "reverse", "冲销", "reverse";
        Confirm = "confirm", "确认", "confirm";
        Revoke = "revoke", "撤销称号", "revoke the title";
        Publish = "publish", "公开", "publish";
        Unpublish = "unpublish", "停止公开", "unpublish";
        Withdraw = "withdraw", "撤回", "withdraw";
        Conclude = "conclude", "办结", "conclude";
        Correct = "correct", "更正", "correct";
        Answer = "answer", "答复", "answer";
        Merge = "merge", "合并", "merge";
        Dismiss = "dismiss", "排除", "dismiss";
        Undo = "undo", "撤销", "undo";
        Disable = "disable", "停用", "disable";
        Enable = "enable", "启用", "enable";
        ResetPassword = "reset_password", "重置密码", "reset the password";
        Rotate = "rotate", "更换密钥", "change the secret";
        Test = "test", "测试", "test";
        Replay = "replay", "重新投递", "send again";
        CheckIn = "check_in", "签到", "check in";
        CheckOut = "check_out", "签退", "check out";
        BindingCode = "binding_code", "发放微信绑定码", "issue a binding code for WeChat";
        Unbind = "unbind", "解除微信绑定", "end the bindings to WeChat";
        Revise = "revise", "修订为新版本", "revise into a new version";
        Retire = "retire", "废止", "retire";
        Accept = "accept", "审核通过", "accept";
        Amend = "amend", "更正上报", "amend";
        Prefill = "prefill", "重新取数", "fill in from the records again";
        Generate = "generate", "生成内容", "generate";
        Issue = "issue", "印发", "issue";
        Remedy = "remedy", "登记整改", "report as remedied";
        Close = "close", "销号", "close";
        Reopen = "reopen", "重新打开", "open again";
        Award = "award", "表彰", "award";
    }
}

text_enum! {
    /// Groups of resources that are decided alike.
    Area {
        // The tree of organizations.
        Organizations = "organizations", "组织机构", "organizations";
        // Workstations, teams, trainings and the year's work: no personal data in them.
        Work = "work", "日常工作", "work";
        // Persons, appointments, volunteers, memberships.
        People = "people", "人员", "people";
        Publicity = "publicity", "宣传", "publicity";
        // Heroes and their dependants.
        Heroes = "heroes", "见义勇为人员", "heroes";
        Welfare = "welfare", "救助保障", "welfare";
        // Accounts, vouchers, and what was posted.
        Ledger = "ledger", "账务", "ledger";
        // Users and their grants, and which programs are told what happens.
        Access = "access", "用户与授权", "access";
        Audit = "audit", "审计日志", "audit";
        // Figures and reports: sums, without the people behind them.
        Figures = "figures", "指标与报告", "figures";
    }
}

impl Role {
    /// Whether it is held on oneself: it reaches one's own records, wherever these lie.
    pub fn is_of_own(self) -> bool {
        matches!(self, Self::Volunteer | Self::HeroFamily)
    }
}

/// The table. Whatever is not named here is denied.
///
/// No role holds two of the three keys to a payment: preparing, approving, paying. One user may hold two such roles, as
/// happens where an association is three people: of each single disbursement the database still demands that three
/// different people prepare, approve and pay it.
pub fn allows(role: Role, area: Area, action: Action) -> bool {
    use Action as A;
    use Area as R;
    use Role as W;
    let read = action == A::Read;
    let write = matches!(action, A::Create | A::Update | A::Delete | A::Import | A::Advance | A::Retract);
    // What is kept of a hero: a confirmation that was given elsewhere, what may be published, consents to it, and where
    // money is sent.
    let files = matches!(action, A::Confirm | A::Publish | A::Unpublish | A::Withdraw | A::Disable | A::Enable);
    // Of service the end, and whether it counts; of what people ask to have changed, whether it is; of certificates, whether they stand.
    let decide = matches!(action, A::CheckOut | A::Confirm | A::Approve | A::Reject | A::Withdraw);
    // Of the year's work: what is prepared, and what is decided about it.
    let prepare = matches!(action, A::Revise | A::Submit | A::Amend | A::Prefill | A::Generate | A::Remedy);
    let review = matches!(action, A::Return | A::Accept | A::Close | A::Reopen | A::Conclude);
    let answer_for = matches!(action, A::Publish | A::Retire | A::Issue | A::Archive | A::Approve | A::Reject | A::Award | A::Withdraw);
    match (role, area) {
        // Money first: approving and paying belong to one role each, whoever else may write.
        (W::Leader, R::Welfare) if matches!(action, A::Approve | A::Return | A::Reject) => true,
        // What the public is told is the leader's to answer for, whoever prepared it.
        (W::Leader, R::Welfare) if matches!(action, A::Publish | A::Withdraw | A::Conclude | A::Correct | A::Answer) => true,
        (W::Finance, R::Welfare) if matches!(action, A::Pay | A::Deliver) => true,
        // A payment that bounced comes back to finance, and who paid it doesn't undo it: then the leader can.
        (W::Finance | W::Leader, R::Welfare) if action == A::Reverse => true,
        // What somebody was given they acknowledge themselves: see `Scope::own`.
        (W::HeroFamily, R::Welfare) if action == A::Acknowledge => true,
        (W::WelfareOfficer | W::Clerk | W::Service, R::Welfare) if matches!(action, A::Submit | A::Cancel | A::Acknowledge) => true,
        (W::WelfareOfficer, R::Welfare) if action == A::Deliver => true,
        (_, R::Welfare) if !read && !write => false,

        // What finance prepares the leader posts; the books are read by whoever answers for them.
        (W::Finance, R::Ledger) => read || write || matches!(action, A::Submit | A::Cancel | A::Archive | A::Enable | A::Export),
        (W::Service, R::Ledger) => read || write || action == A::Submit,
        (W::Leader, R::Ledger) => read || matches!(action, A::Post | A::Return | A::Reverse),
        (W::OrgAdmin, R::Ledger) => read,

        // Users don't come in files: a password would stand in them.
        (W::PlatformAdmin | W::OrgAdmin, R::Access) => {
            let written = matches!(action, A::Create | A::Update | A::Delete | A::Disable | A::Enable | A::ResetPassword);
            read || written || matches!(action, A::BindingCode | A::Unbind | A::Rotate | A::Test | A::Replay)
        }

        (W::PlatformAdmin, R::Organizations) => read || write || matches!(action, A::Move | A::Archive),
        (W::PlatformAdmin, R::Audit | R::Figures) => read,

        (W::ProvinceViewer, R::Organizations | R::Work | R::Publicity | R::Figures) => read,

        (W::OrgAdmin, R::Organizations) => read || write || matches!(action, A::Move | A::Archive),
        (W::OrgAdmin, R::Work) => read || write || prepare || review || answer_for,
        (W::OrgAdmin, R::Publicity) => read || write,
        // Merging moves records of every kind, accounts among them; a title is taken from somebody.
        (W::OrgAdmin, R::People) => read || write || decide || matches!(action, A::Reveal | A::Dismiss | A::Merge | A::Undo),
        (W::OrgAdmin, R::Heroes) => read || write || files || action == A::Revoke,
        (W::OrgAdmin | W::Leader | W::Clerk, R::Figures) => read || action == A::Create,
        (W::OrgAdmin, R::Welfare) => read,

        (W::Leader, R::Work) => read || review || answer_for,
        (W::Leader, R::Organizations | R::People | R::Publicity | R::Heroes | R::Welfare) => read,

        (W::Clerk, R::Organizations) => read,
        (W::Clerk, R::Work) => read || write || prepare || review,
        (W::Clerk, R::Publicity | R::Welfare) => read || write,
        (W::Clerk, R::People) => read || write || decide || matches!(action, A::Reveal | A::Dismiss),
        (W::Clerk, R::Heroes) => read || write || files,

        (W::PublicityOfficer, R::Organizations | R::Work | R::Figures) => read,
        (W::PublicityOfficer, R::Publicity) => read || write,

        (W::WelfareOfficer, R::Organizations | R::Work | R::Figures) => read,
        (W::WelfareOfficer, R::People) => read || write || decide || action == A::Reveal,
        (W::WelfareOfficer, R::Heroes) => read || write || files,
        (W::WelfareOfficer, R::Welfare) => read || write,

        (W::Finance, R::Organizations | R::Heroes | R::Welfare | R::Figures) => read,

        (W::Auditor, _) => read,

        (W::StationHead, R::Organizations) => read,
        (W::StationHead, R::People) if matches!(action, A::CheckOut | A::Confirm) => true,
        (W::StationHead, R::Work | R::People) => read || matches!(action, A::Create | A::Update),

        (W::LiaisonOfficer, R::Organizations | R::Work) => read,

        // Their own records only, and those of teams that they lead: see `Scope::own`.
        (W::Volunteer, R::People) if matches!(action, A::CheckIn | A::CheckOut | A::Confirm | A::Reject | A::Cancel) => true,
        (W::HeroFamily, R::People) if action == A::Cancel => true,
        (W::Volunteer, R::People) | (W::HeroFamily, R::People | R::Heroes | R::Welfare) => read,

        (W::Service, R::Work) => read || write || prepare,
        (W::Service, R::Organizations | R::People | R::Publicity | R::Heroes | R::Welfare) => read || write,
        (W::Service, R::Figures) => read,

        _ => false,
    }
}

/// A role that somebody holds, on an organization and all below it, between two days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    /// `None` reaches the whole tree.
    pub organization_id: Option<Id>,
    pub from_on: NaiveDate,
    pub to_on: Option<NaiveDate>,
}

impl Grant {
    pub fn holds_on(&self, day: NaiveDate) -> bool {
        self.from_on <= day && self.to_on.is_none_or(|to| day <= to)
    }
}

/// Whether somebody with these grants may do something in an organization, of which `above` are itself and those above it. Of many people
/// at once: whoever asks for something is given a [`Scope`].
pub fn may_in(grants: &[Grant], above: &[Id], area: Area, action: Action) -> bool {
    let reaches = |grant: &Grant| grant.organization_id.is_none_or(|id| above.contains(&id));
    grants.iter().any(|grant| !grant.role.is_of_own() && allows(grant.role, area, action) && reaches(grant))
}

/// Who is asking: a user or a machine client, with what they hold today.
#[derive(Debug, Clone)]
pub struct Actor {
    pub id: Id,
    pub session_id: Id,
    pub person_id: Option<Id>,
    pub name: String,
    pub username: String,
    pub must_change_password: bool,
    /// By which WeChat account the session began, where it did.
    pub wechat_binding_id: Option<Id>,
    /// Only the grants that hold today.
    pub grants: Arc<Vec<Grant>>,
}

impl Actor {
    /// The decision: where this actor may do this, or a refusal.
    pub fn may(&self, area: Area, action: Action) -> Result<Scope> {
        if self.must_change_password {
            return Err(Error::new(Code::PasswordChangeRequired));
        }
        let mut reach = Some(Vec::new());
        let mut own = None;
        let mut any = false;
        for grant in self.grants.iter().filter(|grant| allows(grant.role, area, action)) {
            match grant.role {
                role if role.is_of_own() => {
                    if self.person_id.is_some() {
                        own = self.person_id;
                        any = true;
                    }
                }
                _ => {
                    any = true;
                    match (grant.organization_id, &mut reach) {
                        (None, reach) => *reach = None,
                        (Some(id), Some(ids)) => ids.push(id),
                        (Some(_), None) => {}
                    }
                }
            }
        }
        if any { Ok(Scope { reach, own, above: false, fit: Fit::Probe }) } else { Err(self.refused(area, action)) }
    }

    /// Says which roles it takes: `GET /roles` tells everybody the table.
    fn refused(&self, area: Area, action: Action) -> Error {
        if self.grants.iter().any(|grant| allows(grant.role, area, action)) {
            return Self::nobody();
        }
        let list = |roles: &mut dyn Iterator<Item = Role>| {
            let (zh, en): (Vec<_>, Vec<_>) = roles.map(TextEnum::label).unzip();
            (zh.join("、"), en.join(", "))
        };
        let (needed, needed_en) = list(&mut Role::all().filter(|role| allows(*role, area, action)));
        let (held, held_en) = list(&mut Role::all().filter(|role| self.grants.iter().any(|grant| grant.role == *role)));
        let ((area, area_en), (action, action_en)) = (area.label(), action.label());
        let or = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
        let (needed, needed_en) = (or(needed, "无"), or(needed_en, "none"));
        let (held, held_en) = (or(held, "无"), or(held_en, "none"));
        Error::because(
            Code::Forbidden,
            format!("可对“{area}”进行“{action}”的角色：{needed}；您目前的角色：{held}"),
            format!("\"{action_en}\" of \"{area_en}\" takes one of these roles: {needed_en}; yours: {held_en}"),
        )
    }

    /// The person who this is, for what is done about oneself.
    pub fn person(&self) -> Result<Id> {
        self.person_id.ok_or_else(Self::nobody)
    }

    fn nobody() -> Error {
        Error::because(
            Code::Forbidden,
            "您的账号没有关联人员记录；请由协会管理员关联",
            "your account is linked to no person; an organization administrator can link it",
        )
    }

    /// Of actions in organizations those that are out of reach, for who reads a city and writes in one of its counties.
    pub fn lacks(
        &self,
        conn: &mut AnyConnection,
        area: Area,
        asked: impl IntoIterator<Item = (Action, Id)>,
    ) -> Result<HashSet<(Action, Id)>> {
        let mut organizations: HashMap<Action, Vec<Id>> = HashMap::new();
        asked.into_iter().for_each(|(action, id)| organizations.entry(action).or_default().push(id));
        let mut lacking = HashSet::new();
        for (action, ids) in organizations {
            let beyond = match self.may(area, action) {
                Ok(scope) => scope.lacks(conn, ids)?,
                Err(_) => ids,
            };
            lacking.extend(beyond.into_iter().map(|id| (action, id)));
        }
        Ok(lacking)
    }

    /// Whether all that they may do they may do in the same part of the tree, or to what is their own.
    pub fn is_of_one_place(&self) -> bool {
        let mut places = self.grants.iter().filter(|grant| !grant.role.is_of_own()).map(|grant| grant.organization_id);
        let first = places.next();
        places.all(|place| Some(place) == first)
    }

    /// Whether the table allows it anywhere: asked for each record of a list.
    pub fn can(&self, area: Area, action: Action) -> bool {
        let counts = |role: Role| !role.is_of_own() || self.person_id.is_some();
        !self.must_change_password && self.grants.iter().any(|grant| allows(grant.role, area, action) && counts(grant.role))
    }
}

/// Where an actor may do what was decided: the subtrees of their grants, and what is about themselves.
#[derive(Debug, Clone)]
pub struct Scope {
    /// `None` is the whole tree.
    reach: Option<Vec<Id>>,
    own: Option<Id>,
    /// Whether the organizations above are in reach too: see [`Scope::with_above`].
    above: bool,
    /// How what is asked for is best looked for: by [`Scope::fitted`] for lists and sums; until then as for a record
    /// that is known by its id or code.
    fit: Fit,
}

/// What a scope is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A page of a list in its order.
    Page,
    /// A page of what a search finds by an index of its own.
    Search,
    /// A count or a sum over all of it.
    Sum,
    /// All of it, page by page, in its order: an export.
    Walk,
}

/// From this part of the tree on, a page is found sooner by going along the list's order: half of the rows, or more,
/// belong. Below it that might pass all others first, since records that came in one file lie together.
const PAGES_WALK_FROM: f64 = 0.5;
/// From this part on, a search asks of each find whether it belongs; below, each of the few that belong whether it is one.
const SEARCHES_PROBE_FROM: f64 = 0.02;
/// From this part on, a walk through all pages goes along the list's order once; below, gathering what belongs for each of the
/// few pages is less.
const WALKS_KEEP_ORDER_FROM: f64 = 0.05;
/// From this part on, a sum reads the table rather than its index by organization.
const SUMS_WALK_FROM: f64 = 0.2;

text_enum! {
    /// Whose records: the city association's own, or those of its counties taken together.
    OrganizationLevel {
        City = "city", "市协会本级", "the city association itself";
        County = "county", "县市区协会", "the county associations";
    }
}

impl Scope {
    /// The command line's: it acts on the whole, on the machine that holds the database.
    pub fn of_operator() -> Self {
        Self { reach: None, own: None, above: false, fit: Fit::Probe }
    }

    /// The public's: the tree, for a filter to narrow. What of it the public may see is decided by the state of each record: see
    /// [`crate::public`].
    pub fn of_public() -> Self {
        Self::of_operator()
    }

    /// The same reach and, besides, the organizations above it: for reading and naming what these share with those
    /// below them, and never for writing.
    pub fn with_above(&self) -> Self {
        Self { above: true, ..self.clone() }
    }

    /// The same scope, told how to look for what is asked for. It changes the way and never the outcome.
    ///
    /// Statements are planned once for all values, so the planner can't tell a county's clerk, for whom the index on
    /// the organization is best, from the city's, for whom that would gather and sort nearly everything.
    pub fn fitted(&self, conn: &mut AnyConnection, tree: &Tree, organization_id: Option<Id>, purpose: Purpose) -> Result<Self> {
        // What is asked for and what may be seen: the smaller of the two is what there is to find.
        let mut share: f64 = 1.0;
        if let Some(reach) = &self.reach {
            share = share.min(tree.share(conn, reach)?);
        }
        if let Some(asked) = organization_id {
            share = share.min(tree.share(conn, &[asked])?);
        }
        let fit = match purpose {
            Purpose::Search if share >= SEARCHES_PROBE_FROM => Fit::Probe,
            Purpose::Page if share >= PAGES_WALK_FROM => Fit::Probe,
            Purpose::Walk if share >= WALKS_KEEP_ORDER_FROM => Fit::Walk,
            Purpose::Sum if share >= SUMS_WALK_FROM => Fit::Walk,
            Purpose::Page | Purpose::Search | Purpose::Sum | Purpose::Walk => Fit::Seek,
        };
        Ok(Self { fit, ..self.clone() })
    }

    /// The same scope, for sums over one small part of the tree: told by who knows that it is small.
    pub fn of_little(&self) -> Self {
        Self { fit: Fit::Seek, ..self.clone() }
    }

    /// Whether a page's ids are best found before its records are read: see `web::page`.
    pub fn gathers(&self) -> bool {
        self.fit == Fit::Seek
    }

    /// The organizations in reach: what every store filters its query with.
    ///
    /// It is a semi-join on the closure, so the database decides and nothing is filtered afterwards.
    pub fn organizations(&self) -> Reach {
        self.within(None, None)
    }

    /// The organization in whose subtree all of it lies; `None` where that is the whole tree, or lies in several.
    pub fn root(&self) -> Option<Id> {
        match self.reach.as_deref() {
            Some([root]) => Some(*root),
            _ => None,
        }
    }

    /// The organizations in reach that also lie under one of them and on a level, as a filter asks.
    pub fn within(&self, organization_id: Option<Id>, level: Option<OrganizationLevel>) -> Reach {
        if self.reach.is_none() && organization_id.is_none() && level.is_none() {
            return Reach { subset: Subset(Vec::new()), fit: Fit::All };
        }
        // Each ends in a condition, so that more can follow with AND, and a probe's does.
        let below = "SELECT descendant_id FROM organization_closure WHERE ";
        let mut parts = match (&self.reach, organization_id) {
            (None, None) => vec![Part::Sql(below), Part::Sql("depth = 0")],
            (None, Some(id)) => vec![Part::Sql(below), Part::Sql("ancestor_id = "), Part::Id(id)],
            (Some(ids), _) if self.above => vec![
                Part::Sql("SELECT descendant_id FROM ("),
                Part::Sql(below),
                Part::Sql("ancestor_id IN "),
                Part::Ids(ids.clone()),
                Part::Sql(" UNION ALL SELECT ancestor_id FROM organization_closure WHERE descendant_id IN "),
                Part::Ids(ids.clone()),
                Part::Sql(") AS below_and_above WHERE 1 = 1"),
            ],
            (Some(ids), _) => vec![Part::Sql(below), Part::Sql("ancestor_id IN "), Part::Ids(ids.clone())],
        };
        if let (Some(_), Some(id)) = (&self.reach, organization_id) {
            let asked = " AND descendant_id IN (SELECT descendant_id FROM organization_closure WHERE ancestor_id = ";
            parts.extend([Part::Sql(asked), Part::Id(id), Part::Sql(")")]);
        }
        parts.extend(level.map(|level| {
            Part::Sql(match level {
                OrganizationLevel::City => " AND descendant_id IN (SELECT id FROM organizations WHERE kind = 'city_association')",
                OrganizationLevel::County => {
                    " AND descendant_id IN (SELECT id FROM organizations WHERE kind IN ('county_association', 'county_collective'))"
                }
            })
        }));
        Reach { subset: Subset(parts), fit: self.fit }
    }

    /// The organizations that a filter asks for, whoever asks: this narrows a person's own records, which they may see
    /// wherever these lie.
    pub fn asked(organization_id: Option<Id>, level: Option<OrganizationLevel>) -> Reach {
        Self::of_operator().within(organization_id, level)
    }

    /// The person whose own records are in reach as well, for a volunteer or a family.
    pub fn own(&self) -> Option<Id> {
        self.own
    }

    /// What it is made of, in one order: two that are written alike reach the same.
    pub fn words(&self) -> String {
        let mut reach = self.reach.clone();
        if let Some(ids) = &mut reach {
            ids.sort_unstable();
        }
        format!("{reach:?} {:?} {}", self.own, self.above)
    }

    /// Whether the whole tree is in reach: needed to plant a root.
    pub fn is_whole(&self) -> bool {
        self.reach.is_none()
    }

    /// Those of the organizations that are out of reach: one query, whatever their number.
    pub fn lacks(&self, conn: &mut AnyConnection, mut ids: Vec<Id>) -> Result<Vec<Id>> {
        if self.is_whole() || ids.is_empty() {
            return Ok(Vec::new());
        }
        ids.sort_unstable();
        ids.dedup();
        let probed = Self { fit: Fit::Probe, ..self.clone() };
        let within: Vec<Id> = organizations::table
            .filter(organizations::id.eq_any(ids.clone()))
            .filter(probed.organizations().holds(organizations::id))
            .select(organizations::id)
            .load(conn)?;
        ids.retain(|id| !within.contains(id));
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No role holds two of the three keys to a payment.
    #[test]
    fn preparing_approving_and_paying_are_three_roles() {
        for role in Role::all() {
            let keys = [Action::Create, Action::Approve, Action::Pay].iter().filter(|a| allows(role, Area::Welfare, **a)).count();
            assert!(keys <= 1, "{role:?} holds {keys} keys");
            assert!(!(allows(role, Area::Ledger, Action::Create) && allows(role, Area::Ledger, Action::Post)), "{role:?}");
        }
    }

    #[test]
    fn an_auditor_only_reads_and_an_administrator_sees_no_people() {
        for area in Area::all() {
            for action in Action::all() {
                assert_eq!(allows(Role::Auditor, area, action), action == Action::Read);
            }
        }
        for area in [Area::People, Area::Heroes, Area::Welfare] {
            assert!(!allows(Role::PlatformAdmin, area, Action::Read));
        }
    }
}
