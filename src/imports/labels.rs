//! What clerks call the columns: the Chinese headers of each field, the usual one first.

/// The place of a column among others: the table below is in the order in which a clerk looks for them.
pub fn rank(header: &str) -> usize {
    SHARED.iter().position(|(name, _)| *name == header).unwrap_or(SHARED.len())
}

/// The Chinese headers of a column; of one resource where it has words of its own.
pub fn of(resource: &str, header: &str) -> Vec<&'static str> {
    OWN.iter()
        .find(|(of, name, _)| *of == resource && *name == header)
        .map(|(_, _, labels)| *labels)
        .or_else(|| SHARED.iter().find(|(name, _)| *name == header).map(|(_, labels)| *labels))
        .unwrap_or_default()
        .to_vec()
}

const OWN: &[(&str, &str, &[&str])] = &[
    ("organizations", "name", &["名称", "协会名称"]),
    ("organizations", "kind", &["类别", "机构类别"]),
    ("organizations", "parent_code", &["上级编码", "上级协会编码"]),
    ("volunteer_teams", "name", &["队伍名称", "名称"]),
    ("volunteer_teams", "parent_code", &["上级队伍编码"]),
    ("volunteers", "code", &["志愿者编号", "编码", "编号"]),
    ("memberships", "left_on", &["离队日期", "退出日期"]),
    ("workstations", "name", &["工作站名称", "名称"]),
    ("publicity_assets", "parent_code", &["所在场所编码"]),
    ("publicity_assets", "name", &["阵地名称", "名称"]),
    ("publicity_assets", "kind", &["种类"]),
    ("inspection_plans", "organization_code", &["检查单位编码", "所属协会编码", "检查单位"]),
    ("inspection_plans", "title", &["计划名称", "标题"]),
    ("inspection_plans", "from_on", &["检查开始日期"]),
    ("inspection_plans", "to_on", &["检查结束日期"]),
    ("inspection_plans", "members", &["检查人员"]),
    ("inspection_findings", "owner_code", &["整改责任人编码"]),
    ("inspection_findings", "due_on", &["整改期限"]),
    ("liaison_questionings", "result", &["询问结果"]),
    ("commendation_rounds", "organization_code", &["评选单位编码", "所属协会编码", "评选单位"]),
    ("commendation_rounds", "title", &["评选名称", "标题"]),
    ("commendation_rounds", "document_number", &["表彰文号"]),
    ("commendation_rounds", "awarded_on", &["表彰日期"]),
    ("nominations", "organization_code", &["申报单位编码", "所属协会编码", "申报单位"]),
    ("nominations", "decided_by_code", &["评审人编码"]),
    ("policy_documents", "title", &["文件标题", "标题"]),
    ("policy_documents", "issued_on", &["发文日期", "印发日期"]),
    ("inspections", "organization_code", &["被检查协会编码", "所属协会编码", "被检查单位"]),
    ("circulars", "organization_code", &["印发协会编码", "所属协会编码", "印发单位"]),
    ("trainings", "organization_code", &["主办协会编码", "所属协会编码", "主办单位"]),
    ("welfare_batches", "name", &["批次名称", "名称"]),
    ("welfare_programmes", "name", &["项目名称", "名称"]),
    ("goods", "name", &["宣传品名称", "名称"]),
    ("campaigns", "name", &["活动名称", "名称"]),
    ("accounts", "name", &["账户名称", "名称"]),
    ("hero_groups", "name", &["群体名称", "名称"]),
    ("eligibility_rules", "note", &["依据", "备注"]),
    ("public_notices", "title", &["公示标题", "标题"]),
    ("service_records", "minutes", &["服务分钟数"]),
    ("certificates", "minutes", &["服务分钟数合计"]),
    ("certificates", "records", &["服务记录数"]),
    ("public_notices", "document_number", &["授奖文号", "文号"]),
    ("notice_objections", "channel", &["异议途径"]),
    ("notice_objections", "content", &["异议内容"]),
    ("honours", "title", &["称号或奖项", "荣誉称号"]),
    ("honours", "level", &["级别"]),
    ("honours", "amount_fen", &["奖金（分）"]),
    ("webhooks", "name", &["推送名称", "名称"]),
    ("payee_accounts", "number", &["收款账号", "银行账号", "卡号"]),
];

const SHARED: &[(&str, &[&str])] = &[
    ("code", &["编码", "编号", "代码"]),
    ("name", &["姓名", "名称", "名字"]),
    ("short_name", &["简称"]),
    ("gender", &["性别"]),
    ("id_number", &["身份证号", "身份证号码", "证件号码", "证件号", "身份证", "公民身份号码"]),
    ("phone", &["手机号", "手机", "手机号码", "联系电话", "电话", "电话号码", "联系方式", "移动电话"]),
    ("organization_code", &["所属协会编码", "协会编码", "单位编码", "所属协会", "所属协会代码", "所属单位", "所属单位编码"]),
    ("person_code", &["人员编码"]),
    ("workstation_code", &["工作站编码"]),
    ("team_code", &["队伍编码"]),
    ("volunteer_code", &["志愿者编号"]),
    ("leader_code", &["负责人编码", "队长编码"]),
    ("campaign_code", &["活动编码"]),
    ("publicity_asset_code", &["阵地编码"]),
    ("goods_code", &["宣传品编码"]),
    ("media_item_code", &["媒体稿件编码"]),
    ("programme_code", &["项目编码"]),
    ("batch_code", &["批次编码"]),
    ("hero_code", &["见义勇为人员编码"]),
    ("dependant_code", &["家属编码"]),
    ("inspector_code", &["检查单位编码"]),
    ("debit_account_code", &["借方账户编码"]),
    ("credit_account_code", &["贷方账户编码"]),
    ("occurred_on", &["发生日期"]),
    ("summary", &["摘要"]),
    ("planned_fen", &["预算金额（分）"]),
    ("programme_kind", &["项目类别"]),
    ("donor", &["捐赠人"]),
    ("purposes", &["限定用途"]),
    ("user_code", &["用户编码"]),
    ("kind", &["类别", "类型"]),
    ("category", &["大类"]),
    ("division_code", &["行政区划代码"]),
    ("established_on", &["成立日期"]),
    ("established_on_precision", &["成立日期精度"]),
    ("host_kind", &["依托单位类别"]),
    ("host_name", &["依托单位"]),
    ("address", &["地址", "详细地址", "住址"]),
    ("longitude", &["经度"]),
    ("latitude", &["纬度"]),
    ("coordinate_system", &["坐标系"]),
    ("commended", &["是否受表彰"]),
    ("status", &["状态"]),
    ("base_kind", &["依托领域"]),
    ("flag_ceremony_on", &["授旗日期"]),
    ("disbanded_on", &["解散日期"]),
    ("sector", &["行业", "所属行业"]),
    ("registered_on", &["注册日期", "登记日期"]),
    ("registered_on_precision", &["注册日期精度"]),
    ("joined_on", &["入队日期"]),
    ("joined_on_precision", &["入队日期精度"]),
    ("left_on", &["退出日期"]),
    ("post", &["职务"]),
    ("from_on", &["起始日期", "任职日期"]),
    ("from_on_precision", &["任职日期精度"]),
    ("to_on", &["截止日期", "离任日期"]),
    ("topic", &["主题"]),
    ("topics", &["检查内容"]),
    ("audience", &["培训对象"]),
    ("year", &["年度"]),
    ("held_on", &["举办日期"]),
    ("place", &["地点"]),
    ("attendances", &["培训人次"]),
    ("attendances_precision", &["人次精度"]),
    ("distinct_people", &["培训人数"]),
    ("plan_code", &["检查计划编码"]),
    ("inspection_code", &["检查编码"]),
    ("appointment_code", &["任职编码"]),
    ("training_code", &["培训编码"]),
    ("round_code", &["评选编码"]),
    ("severity", &["严重程度"]),
    ("description", &["问题描述"]),
    ("fixed_on_the_spot", &["是否当场整改"]),
    ("asked_on", &["询问日期"]),
    ("questions", &["询问内容"]),
    ("asked", &["询问题数"]),
    ("correct", &["答对题数"]),
    ("phase", &["工作阶段"]),
    ("attended_on", &["签到日期", "参加日期"]),
    ("times", &["参加次数", "人次"]),
    ("quota", &["表彰名额"]),
    ("opens_on", &["申报开始日期"]),
    ("closes_on", &["申报截止日期"]),
    ("merits", &["主要事迹", "申报理由"]),
    ("issuer", &["发文机关"]),
    ("subjects", &["受检单位标识"]),
    ("inspected_on", &["检查日期"]),
    ("findings", &["检查情况"]),
    ("number", &["文号"]),
    ("title", &["标题"]),
    ("subject", &["事项"]),
    ("issued_on", &["印发日期"]),
    ("indicator", &["指标代码"]),
    ("value", &["指标值"]),
    ("unit", &["单位"]),
    ("quantity", &["数量"]),
    ("quantity_precision", &["数量精度"]),
    ("stage", &["阶段"]),
    ("stage_on", &["阶段日期"]),
    ("stage_on_precision", &["阶段日期精度"]),
    ("funding_route", &["建设方式", "资金渠道"]),
    ("note", &["备注", "附注"]),
    ("campaign_event_code", &["活动场次编码"]),
    ("confirmed_by_code", &["确认人编码"]),
    ("started_at", &["签到时间"]),
    ("ended_at", &["签退时间"]),
    ("overlapping", &["时间重叠"]),
    ("volunteer.code", &["志愿者本人编号"]),
    ("issued_by_code", &["签发人编码"]),
    ("verification_code", &["查验码"]),
    ("decided_by_code", &["审核人编码"]),
    ("requested_by_code", &["申请人编码"]),
    ("phone_masked", &["手机号"]),
    ("starts_on", &["开始日期"]),
    ("ends_on", &["结束日期"]),
    ("participants", &["参加人数"]),
    ("participants_precision", &["人数精度"]),
    ("content", &["内容"]),
    ("proof", &["佐证"]),
    ("direction", &["方向"]),
    ("moved_on", &["日期"]),
    ("published_on", &["发布日期"]),
    ("outlet", &["媒体名称"]),
    ("outlet_level", &["媒体级别"]),
    ("url", &["链接"]),
    ("level", &["荣誉级别"]),
    ("outcome", &["伤亡情况"]),
    ("deed_kind", &["行为类别"]),
    ("deed_on", &["行为日期"]),
    ("deed_place", &["行为地点"]),
    ("deed_summary", &["事迹简述"]),
    ("confirmed_by", &["确认机关"]),
    ("confirmation_number", &["确认文号"]),
    ("confirmed_on", &["确认日期"]),
    ("application_source", &["申报来源", "申报人"]),
    ("group_code", &["群体编码"]),
    ("awarded_by", &["授予机关"]),
    ("document_number", &["文号"]),
    ("awarded_on", &["授予日期"]),
    ("purpose", &["同意事项"]),
    ("given_by", &["同意人"]),
    ("giver_name", &["代为同意人姓名"]),
    ("giver_relation", &["代为同意人与本人关系"]),
    ("given_on", &["同意日期"]),
    ("relation", &["关系", "与本人关系"]),
    ("fact", &["条件"]),
    ("min", &["下限"]),
    ("max", &["上限"]),
    ("one_of", &["可取值"]),
    ("effective_from", &["生效日期"]),
    ("effective_to", &["失效前最后一日"]),
    ("form", &["发放形式"]),
    ("control_people", &["控制人数"]),
    ("control_fen", &["控制金额（分）"]),
    ("people", &["人数"]),
    ("people_precision", &["人数精度"]),
    ("amount_fen", &["金额（分）"]),
    ("benefit", &["待遇内容"]),
    ("introduction", &["公示说明"]),
    ("amounts", &["金额公开方式"]),
    ("days", &["公示天数"]),
    ("notice_code", &["公示编码"]),
    ("received_on", &["收到日期"]),
    ("objector", &["异议人"]),
    ("channel", &["资金来源"]),
    ("holder_name", &["户名"]),
    ("holder_relation", &["户主与本人关系"]),
    ("bank_name", &["开户银行", "开户行"]),
    ("insurer", &["承保单位", "保险公司"]),
    ("policy_number", &["保单号"]),
    ("insured_from", &["保险起始日期"]),
    ("insured_to", &["保险终止日期"]),
    // Of users and grants, and of what only the service writes.
    ("username", &["用户名"]),
    ("role", &["角色"]),
    ("account_code", &["账户编码"]),
    // What is only shown.
    ("state", &["办理状态"]),
    ("reason", &["原因"]),
    ("published", &["是否公开"]),
    ("person.code", &["疑似重复人员编码"]),
    ("person.name", &["人员姓名"]),
    ("person.gender", &["人员性别"]),
    ("person.id_number", &["人员身份证号"]),
    ("person.id_number_masked", &["人员身份证号（掩码）"]),
    ("person.phone", &["人员手机号"]),
    ("person.phone_masked", &["人员手机号（掩码）"]),
    ("volunteer.name", &["志愿者姓名"]),
    ("team.name", &["队伍名称"]),
    ("age", &["年龄"]),
    ("merged_into_code", &["并入人员编码"]),
    ("into_code", &["并入人员编码"]),
    ("card_checks", &["卡号校验位相符"]),
    ("revoked_on", &["撤销称号日期"]),
    ("revocation_number", &["撤销文号"]),
    ("revocation_reason", &["撤销原因"]),
    ("withdrawn_on", &["撤回日期"]),
    ("withdrawal_reason", &["撤回原因"]),
    ("coverage.planned", &["计划检查单位数"]),
    ("coverage.visited", &["已检查单位数"]),
    ("remedy_note", &["整改情况"]),
    ("remedied_on", &["整改日期"]),
    ("remedied_by_code", &["整改登记人编码"]),
    ("closed_on", &["销号日期"]),
    ("closed_by_code", &["销号人编码"]),
    ("submitted_by_code", &["提交人编码"]),
    ("announced_on", &["公示日期"]),
    ("announced_days", &["公示天数"]),
    ("announced_until", &["公示截止日期"]),
    ("nominations.received", &["收到申报"]),
    ("nominations.undecided", &["未审定申报"]),
    ("nominations.approved", &["通过申报"]),
    ("nominations.rejected", &["未通过申报"]),
    ("superseded_by_code", &["替代文件编码"]),
    ("stock", &["库存"]),
    ("paid_on", &["支付日期"]),
    ("paid_on_precision", &["支付日期精度"]),
    ("attended_days", &["参加天数"]),
    ("reversed_on", &["冲销日期"]),
    ("totals.records", &["发放笔数合计"]),
    ("totals.people", &["发放人数合计"]),
    ("totals.fen", &["发放金额合计（分）"]),
    ("totals.doubled", &["重复享受人数"]),
    ("line_count", &["公示名单人数"]),
    ("total_fen", &["公示金额合计（分）"]),
    ("objections.received", &["收到异议"]),
    ("objections.answered", &["已答复异议"]),
    ("objections.upheld", &["成立异议"]),
    ("answer", &["答复"]),
    ("answered_on", &["答复日期"]),
    ("balance_fen", &["余额（分）"]),
    ("spent_fen", &["已支出金额（分）"]),
    ("reserved_fen", &["已批准未支付金额（分）"]),
    ("left_fen", &["剩余金额（分）"]),
    ("receipt_year", &["收据年度"]),
    ("receipt_number", &["收据号"]),
    ("voucher_code", &["凭证编码"]),
    ("disbursement_code", &["发放编码"]),
    ("reverses_code", &["被冲销记录编码"]),
    ("reversed_by_id", &["冲销记录标识"]),
    ("transfer_code", &["转账编码"]),
    ("payee_account_code", &["收款账户编码"]),
    ("position", &["序号"]),
    ("lines", &["明细笔数"]),
    ("results.waiting.lines", &["待回执笔数"]),
    ("results.waiting.amount_fen", &["待回执金额（分）"]),
    ("results.paid.lines", &["成功笔数"]),
    ("results.paid.amount_fen", &["成功金额（分）"]),
    ("results.bounced.lines", &["退回笔数"]),
    ("results.bounced.amount_fen", &["退回金额（分）"]),
    ("sent_at", &["发送时间"]),
    ("settled_on", &["回执日期"]),
    ("bank_reason", &["银行退回原因"]),
    ("must_change_password", &["须修改密码"]),
    ("at", &["时间"]),
    ("actor_code", &["操作人编码"]),
    ("action", &["操作"]),
    ("resource", &["记录种类"]),
    ("record_id", &["记录标识"]),
    ("person_id", &["人员标识"]),
    ("request_id", &["请求标识"]),
    ("event_types", &["事件类型"]),
    ("enabled", &["是否启用"]),
    ("secret", &["签名密钥"]),
    ("former_secret_until", &["旧密钥有效至"]),
    ("webhook_id", &["事件推送标识"]),
    ("event_id", &["事件标识"]),
    ("event_type", &["事件"]),
    ("event_at", &["事件时间"]),
    ("sequence", &["事件序号"]),
    ("expires_at", &["投递截止时间"]),
    ("delivered_at", &["送达时间"]),
    ("attempt_count", &["投递次数"]),
    ("prepared_by_code", &["编制人编码"]),
    ("approved_by_code", &["批准人编码"]),
    ("second_approved_by_code", &["第二批准人编码"]),
    ("paid_by_code", &["支付人编码"]),
    ("posted_by_code", &["过账人编码"]),
    ("published_by_code", &["发布人编码"]),
    ("answered_by_code", &["答复人编码"]),
    ("reversed_by_code", &["冲销人编码"]),
    ("merged_by_code", &["合并人编码"]),
    ("undone_at", &["撤销合并时间"]),
    ("id", &["标识"]),
    ("version", &["版本"]),
    ("created_at", &["创建时间"]),
    ("updated_at", &["更新时间"]),
];

#[cfg(test)]
mod tests {
    use super::super::columns;

    /// Every column of every resource, those that only show something too, has a Chinese header and an English one, and no
    /// two of a file share one.
    #[test]
    fn every_column_can_be_headed_in_chinese() {
        let mut nameless = Vec::new();
        for verbs in crate::web::verbs::registry() {
            let mut seen = std::collections::HashMap::new();
            for column in columns::of(*verbs).into_iter().chain(columns::shown(*verbs)) {
                let exported = column.read_only || column.place_in(verbs.view_shape().schema()).is_some();
                if column.headers_zh.is_empty() && exported && !column.json_only {
                    nameless.push(format!("{}.{}", verbs.name(), column.header));
                }
                for label in column.headers_zh.iter().chain([&column.header]) {
                    let label = columns::key(label);
                    if let Some(other) = seen.insert(label.clone(), column.header.clone()) {
                        panic!("{}: {label} means both {other} and {}", verbs.name(), column.header);
                    }
                }
            }
        }
        assert!(nameless.is_empty(), "without a Chinese header: {nameless:#?}");
    }

    /// What a file gives back must be what was read: an importable column that the view doesn't show can't be exported.
    #[test]
    fn what_is_written_is_shown() {
        for verbs in crate::web::verbs::registry().iter().filter(|verbs| verbs.importable()) {
            for column in columns::of(*verbs) {
                assert!(column.place_in(verbs.view_shape().schema()).is_some(), "{}.{} is not shown", verbs.name(), column.header);
            }
        }
    }

    /// A label that means two entries of one dictionary would be read as the first.
    #[test]
    fn labels_mean_one_entry() {
        for verbs in crate::web::verbs::registry() {
            for column in columns::of(*verbs) {
                let mut seen = std::collections::HashSet::new();
                for entry in &column.entries {
                    assert!(seen.insert(&entry.label_zh), "{}.{}: {} stands twice", verbs.name(), column.header, entry.label_zh);
                }
            }
        }
    }

    #[test]
    fn no_column_stands_twice_in_the_table() {
        let mut seen = std::collections::HashSet::new();
        for (name, _) in super::SHARED {
            assert!(seen.insert(name), "{name} stands twice");
        }
    }
}
