//! Teams, volunteers and memberships of 2022: the source tells their numbers, everything else here is fiction.
//!
//! The same bytes come out on every run: no clock, and numbers from a fixed seed.

use std::collections::HashSet;
use std::fmt::Write;

const TEAMS: usize = 162;
const VOLUNTEERS: usize = 5_708;
/// Never assigned to a district, so that no number here is a living person's.
const AREA: &str = "410199";
/// Mobile numbers of a segment that no operator has been given.
const SEGMENT: &str = "154";
/// The day until which the source counts.
const BY: &str = "2022-12-31,不晚于当日";

/// How many teams each county has, and what they were built on. 22 of Dengfeng and the sum are the source's, and so are
/// the fields that it names; the spread over the others isn't. Where the source names no field: other.
const COUNTIES: [(&str, usize, &[&str]); 16] = [
    ("zhongyuan", 10, &["工作站"]),
    ("erqi", 10, &["工作站"]),
    ("guancheng", 9, &["商户市场"]),
    ("jinshui", 12, &["工作站"]),
    ("shangjie", 8, &["学校", "商户市场"]),
    ("huiji", 9, &["其他"]),
    ("zhongmu", 10, &["其他"]),
    ("gongyi", 10, &["其他"]),
    ("xingyang", 10, &["商户市场"]),
    ("xinmi", 12, &["工作站"]),
    ("xinzheng", 10, &["行政执法", "保安", "救援"]),
    ("dengfeng", 22, &["村社区", "企业"]),
    ("hangkonggang", 8, &["行政执法", "保安", "救援"]),
    ("zhengdong", 8, &["学校", "商户市场"]),
    ("jingkai", 7, &["其他"]),
    ("gaoxin", 7, &["学校", "商户市场"]),
];

/// Every trade that the source counts up, the commoner ones more often.
const SECTORS: [&str; 12] = ["机关", "机关", "事业单位", "事业单位", "企业", "企业", "环卫", "快递", "出租", "保安", "社区", "其他"];

const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文";
const GIVEN: [&str; 2] = [
    "芳娜敏静丽艳娟霞秀兰英梅玲红燕萍雪琳慧莉洁婷颖倩云莲真环爱妹香月莺媛瑞凡佳嘉琼勤珍贞玉",
    "伟强磊军洋勇杰涛明超刚平辉鹏飞波斌宇浩凯健俊帆旭东海峰林森建国志文武德成家永福庆山石",
];

/// SplitMix64: good enough to make names and sizes differ, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn char_of(&mut self, text: &str) -> char {
        let n = text.chars().count();
        text.chars().nth(self.below(n)).unwrap_or_default()
    }
}

/// The files' names and contents.
pub fn files() -> [(&'static str, String); 3] {
    let mut dice = Dice(2022);
    let mut teams = String::from("编码,所属协会编码,依托领域,成立日期,成立日期精度\n");
    let mut volunteers = String::from("志愿者编号,所属协会编码,姓名,性别,身份证号,手机号,所属行业,状态,注册日期,注册日期精度\n");
    let mut memberships = String::from("编码,志愿者编号,队伍编码,入队日期,入队日期精度\n");
    let mut sizes = sizes(&mut dice).into_iter();
    let (mut id_numbers, mut phones) = (HashSet::new(), HashSet::new());
    let mut number = 0;
    for (county, count, fields) in COUNTIES {
        for i in 0..count {
            let team = format!("zz-{county}-team-{:02}", i + 1);
            line(&mut teams, format_args!("{team},zz-{county},{},{BY}", fields[i % fields.len()]));
            for _ in 0..sizes.next().unwrap_or_default() {
                number += 1;
                let code = format!("zz-v{number:04}");
                let gender = dice.below(2);
                let name = name(&mut dice, gender);
                let id_number = unlike(&mut id_numbers, || id_number(&mut dice, gender));
                let phone = unlike(&mut phones, || format!("{SEGMENT}{:08}", dice.below(100_000_000)));
                let (sex, sector) = (["女", "男"][gender], SECTORS[dice.below(SECTORS.len())]);
                line(&mut volunteers, format_args!("{code},zz-{county},{name},{sex},{id_number},{phone},{sector},正常,{BY}"));
                line(&mut memberships, format_args!("zz-m{number:04},{code},{team},{BY}"));
            }
        }
    }
    [("volunteer-teams.csv", teams), ("volunteers.csv", volunteers), ("memberships.csv", memberships)]
}

fn line(file: &mut String, cells: std::fmt::Arguments<'_>) {
    writeln!(file, "{cells}").expect("a string takes any text");
}

/// How many volunteers each team has: twelve at least, and the others dealt out one by one.
fn sizes(dice: &mut Dice) -> [usize; TEAMS] {
    let mut sizes = [12; TEAMS];
    for _ in 12 * TEAMS..VOLUNTEERS {
        sizes[dice.below(TEAMS)] += 1;
    }
    sizes
}

fn name(dice: &mut Dice, gender: usize) -> String {
    let mut name = String::from(dice.char_of(SURNAMES));
    for _ in 0..=usize::from(dice.below(4) > 0) {
        name.push(dice.char_of(GIVEN[gender]));
    }
    name
}

/// GB 11643: area, birth, a sequence that is odd for men, check character. 18 to 65 years old in 2022.
fn id_number(dice: &mut Dice, gender: usize) -> String {
    const WEIGHTS: [usize; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let (year, month, day) = (1957 + dice.below(47), 1 + dice.below(12), 1 + dice.below(28));
    let mut number = format!("{AREA}{year}{month:02}{day:02}{:03}", dice.below(500) * 2 + gender);
    let sum: usize = number.bytes().zip(WEIGHTS).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    number.push(char::from(b"10X98765432"[sum % 11]));
    number
}

/// The first that was not made before.
fn unlike(made: &mut HashSet<String>, mut make: impl FnMut() -> String) -> String {
    loop {
        let one = make();
        if made.insert(one.clone()) {
            return one;
        }
    }
}
