//! 义勇: records, welfare and the computed yearly report of the associations for courageous acts (见义勇为协会).
//!
//! # The rooms
//!
//! | room | what it holds |
//! |---|---|
//! | [`app`] | the only place where routes are mounted and middleware is ordered |
//! | [`config`] | the environment as one typed value |
//! | [`error`] | every refusal: the only table of codes, statuses and texts |
//! | [`policy`] | role × area × action: the only authorization table, the only maker of a scope |
//! | [`db`] | both databases behind one connection; reads, the one way to write, migrations, search in names |
//! | [`auth`] | passwords, tokens, sessions, the caller |
//! | [`web`] | shapes, pages, versions, idempotency, and the verbs that every resource has |
//! | [`types`] | ids, instants, dictionaries, identifiers |
//! | [`vault`] | sealing of personal identifiers |
//! | [`eligibility`] | who may be given what: a rule, a person's facts on a day, and the words for both |
//! | [`ledger`] | what happened to money, in entries that are only added |
//! | [`integrity`] | what is told twice, compared |
//! | [`audit`] | who did what, in the transaction of the deed, and the chain that shows if that was changed |
//! | [`files`] | files of rows, whatever their format, and how a text stands in a cell |
//! | [`jobs`] | work that outlives its request, shared by the servers |
//! | [`storage`], [`attachments`] | files that belong to records: where they lie, and whose they are |
//! | [`imports`] | files into records |
//! | [`exports`] | lists into files |
//! | [`outbox`] | what happened, told: notifications and webhooks |
//! | [`client`] | `yiyong import`: a file from a script |
//! | [`demo`] | the records of 2022 as files, and the demonstration that loads them over HTTP |
//! | [`font`] | the typeface of what is drawn |
//! | [`figures`] | a figure is a filter with an aggregate; its records are the list with that filter |
//! | [`reports`] | figures set into documents |
//! | [`resources`] | one slice per URL segment |
//! | [`me`] | what the caller is to the association |
//! | [`public`] | what anybody may read without a token |
//! | [`wechat`] | the mini-program: the way in, messages, codes to scan |
//!
//! # The words
//!
//! | 中文 | in the code | | 中文 | in the code |
//! |---|---|---|---|---|
//! | 协会组织 | organization | | 见义勇为人员 | hero |
//! | 县市区合计（未分列） | county collective | | 见义勇为行为 | deed |
//! | 人员 | person | | 确认 | confirmation |
//! | 任职 | appointment | | 家属 | dependant |
//! | 工作站 | workstation | | 保障项目 | welfare programme |
//! | 联络员 | liaison officer | | 发放批次 | welfare batch |
//! | 志愿者队伍 | volunteer team | | 发放 | disbursement |
//! | 志愿者，入队 | volunteer, membership | | 编制、批准、支付、交付 | prepare, approve, pay, deliver |
//! | 服务记录，签到、签退 | service record, check in / out | | 服务证明，核验码 | certificate, verification code |
//! | 联系方式变更 | change of contact data | | 服务时长 | minutes |
//! | 宣传阵地 | publicity asset | | 培训，人次 | training, attendances |
//! | 示范单位 | demonstration unit | | 督导检查 | inspection |
//! | 宣传活动 | campaign | | 讲评通报 | circular |
//! | 播放、投放 | placement | | 指标，目标 | figure, target |
//! | 见义勇为群体 | hero group | | 称号、奖励 | honour |
//! | 撤销称号 | revoke | | 同意，撤回同意 | consent, withdraw |
//! | 疑似重复人员 | person duplicate | | 人员合并 | person merge |
//! | 宣传品，出入库 | goods, movement | | 年度工作报告 | annual report |
//! | 账户，资金 | account, fund | | 记账凭证，过账，冲销 | voucher, post, reverse |
//! | 账务记录，分录 | ledger transaction, entry | | 预算 | budget |
//! | 收款账户 | payee account | | 银行转账，转账明细 | bank transfer, line |
//! | 银行回执 | (bank) result | | 对账 | reconciliation |
//! | 保单，承保单位 | insurance policy, insurer | | 未参加 | absent |
//! | 附件，缩略图 | attachment, thumbnail | | 链接 | link |
//! | 享受条件 | eligibility rule | | 未登记 | unknown |
//! | 公示，公示名单 | public notice, line | | 异议，答复 | objection, answer |
//! | 办结公示 | conclude | | 更正 | correct |
//! | 微信绑定，绑定码 | binding, binding code | | 订阅消息，模板 | message, template |
//! | 小程序码 | QR code | | 场景值 | scene |
//! | 每月上报，上报表 | monthly return, return form | | 上报批次 | return round |
//! | 上报数，记录算得数 | declared, computed | | 逾期，缺报 | late, missing |
//! | 标准，版本 | standard, version | | 达标评定 | assessment |
//! | 评定项目，佐证 | item, evidence | | 等次，有效期 | level, expiry |
//! | 县市区达标情况 | compliance | | 修订，废止 | revise, retire |
//! | 审计记录 | audit event | | 链环，检查点 | link, checkpoint |
//! | 督导检查计划，受检单位 | inspection plan, subject | | 检查发现的问题 | finding |
//! | 整改，销号 | remedy, close | | 抽查询问 | questioning |
//! | 责任人，期限 | owner, due day | | 试点、全面铺开、总结提升 | pilot, roll-out, consolidation |
//! | 培训签到 | training attendance | | 站长空缺 | vacancy |
//! | 评选表彰，名额 | commendation round, quota | | 表彰申报 | nomination |
//! | 政策文件，发文机关 | policy document, issuer | | 被替代 | superseded |
//! | 通知 | notification | | 事件推送，推送记录 | webhook, delivery |
//!
//! # Where this differs from the first design
//!
//! * The six verbs stand once, in [`web::verbs`], and over HTTP in [`web::handlers`]; a slice is one file that implements [`web::Resource`]. A patch is
//!   merged into the record's own draft and judged whole (RFC 7396), so there are no patch types.
//! * Requests are checked against the very schemas that the contract publishes ([`web::shape`]), which names all the
//!   faults at once and keeps the document true.
//! * Search in names is a table of pieces of one and two characters ([`db::grams`]), alike on both databases.
//! * A scope knows how large a part of the tree it is, and how it is best looked for ([`policy::Scope::fitted`]): with one
//!   plan for all values, neither database can tell a county's clerk from the city's. The predicate is always the same.

pub mod app;
pub mod attachments;
pub mod audit;
pub mod auth;
pub mod client;
pub mod config;
pub mod db;
pub mod demo;
pub mod eligibility;
pub mod error;
pub mod exports;
pub mod figures;
pub mod files;
pub mod font;
pub mod health;
pub mod imports;
pub mod integrity;
pub mod jobs;
pub mod ledger;
pub mod logging;
pub mod me;
pub mod metrics;
pub mod outbox;
pub mod policy;
pub mod public;
pub mod reports;
pub mod resources;
pub mod schema;
pub mod storage;
pub mod types;
pub mod vault;
pub mod web;
pub mod wechat;
