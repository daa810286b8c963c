//! What clerks call the columns: the Chinese headers of each field, the usual one first.

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
    ("inspections", "organization_code", &["被检查协会编码", "所属协会编码"]),
    ("circulars", "organization_code", &["印发协会编码", "所属协会编码"]),
    ("trainings", "organization_code", &["主办协会编码", "所属协会编码"]),
    ("welfare_batches", "name", &["批次名称", "名称"]),
    ("welfare_programmes", "name", &["项目名称", "名称"]),
    ("goods", "name", &["宣传品名称", "名称"]),
    ("campaigns", "name", &["活动名称", "名称"]),
    ("accounts", "name", &["账户名称", "名称"]),
    ("hero_groups", "name", &["群体名称", "名称"]),
    ("eligibility_rules", "note", &["依据", "备注"]),
    ("honours", "title", &["称号或奖项", "荣誉称号"]),
    ("honours", "level", &["级别"]),
    ("honours", "amount_fen", &["奖金（分）"]),
];

const SHARED: &[(&str, &[&str])] = &[
    ("code", &["编码", "编号"]),
    ("name", &["姓名", "名称"]),
    ("short_name", &["简称"]),
    ("gender", &["性别"]),
    ("id_number", &["身份证号", "身份证号码", "证件号码"]),
    ("phone", &["手机号", "手机", "手机号码", "联系电话"]),
    ("organization_code", &["所属协会编码", "协会编码", "单位编码"]),
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
    ("address", &["地址"]),
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
    ("note", &["备注"]),
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
    ("channel", &["资金来源"]),
    ("insurer", &["承保单位", "保险公司"]),
    ("policy_number", &["保单号"]),
    ("insured_from", &["保险起始日期"]),
    ("insured_to", &["保险终止日期"]),
];

#[cfg(test)]
mod tests {
    use super::super::columns;

    /// Every column of every resource has a Chinese header, and no two columns share one.
    #[test]
    fn every_column_can_be_headed_in_chinese() {
        for verbs in crate::web::verbs::registry().iter().filter(|verbs| super::super::importable(**verbs)) {
            let mut seen = std::collections::HashMap::new();
            for column in columns::of(*verbs) {
                assert!(!column.headers_zh.is_empty(), "{}.{} has no Chinese header", verbs.name(), column.header);
                for label in column.headers_zh {
                    if let Some(other) = seen.insert(label, column.header.clone()) {
                        panic!("{}: {label} means both {other} and {}", verbs.name(), column.header);
                    }
                }
            }
        }
    }
}
