//! Names by their pinyin: what of a name's readings is indexed, and what a query in Latin letters looks for.
//!
//! Where a name begins, all readings of its characters count: 曾国强 is found by `zengguoqiang` and `cengguoqiang`, 单雄信 by `sxx` and
//! `dxx`, 长垣 by `changyuan` and `zhangyuan`. Further on it is the usual one, since most others are rare and would only find what nobody
//! means. Both have beside them what [`READINGS`] says. A search shows what it finds in the order of its list and ranks nothing, so the
//! right reading need not be told from the others; it has to be among them.
//!
//! The pieces are a character's reading (`deng`), that of two neighbours (`dengfeng`) and their initials (`df`): they stand beside the pieces
//! of the name itself (see [`super::grams`]). A query is cut into units, each a syllable or the initial of one, the last one also
//! the beginning of one; where it can be cut in several ways (`xian` is 仙 and 西安), all of them are looked for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use pinyin::ToPinyinMulti;

/// Readings beside those of the dictionary: of surnames and of places in Henan that it lacks, and the second of characters that are
/// read in two ways in many names.
const READINGS: &[(char, &str)] = &[
    // Surnames.
    ('万', "mo"),
    ('么', "yao"),
    ('乐', "yue"),
    ('仇', "qiu"),
    ('令', "ling"),
    ('俟', "qi"),
    ('冼', "xian"),
    ('区', "ou"),
    ('单', "shan"),
    ('召', "shao"),
    ('员', "yun"),
    ('尉', "yu"),
    ('折', "she"),
    ('曾', "zeng"),
    ('朴', "piao"),
    ('查', "zha"),
    ('澹', "tan"),
    ('盖', "ge"),
    ('种', "chong"),
    ('繁', "po"),
    ('缪', "miao"),
    ('翟', "zhai"),
    ('覃', "qin"),
    ('覃', "tan"),
    ('解', "xie"),
    ('郗', "xi"),
    // Places.
    ('垣', "yuan"),
    ('柘', "zhe"),
    ('泌', "bi"),
    ('浚', "xun"),
    ('渑', "mian"),
    ('牟', "mu"),
    ('睢', "sui"),
    ('荥', "xing"),
    ('郏', "jia"),
    ('陟', "zhi"),
    // Wherever they stand.
    ('传', "zhuan"),
    ('传', "chuan"),
    ('兴', "xing"),
    ('朝', "chao"),
    ('朝', "zhao"),
    ('校', "xiao"),
    ('行', "hang"),
    ('行', "xing"),
    ('都', "du"),
    ('重', "chong"),
    ('重', "zhong"),
    ('长', "chang"),
    ('长', "zhang"),
];

/// How many characters a name begins with: a surname has one or two.
const BEGINNING: usize = 2;
/// Ways to cut a query that are looked for.
const CUTS: usize = 12;
/// The longest query that is cut: names are shorter.
const LONGEST: usize = 60;

/// Every syllable that a character can be read as, `ü` as `v` and as `u`.
static SYLLABLES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    ('\u{4e00}'..='\u{9fff}')
        .flat_map(|character| readings(character, true))
        .filter(|syllable| syllable.contains(['a', 'e', 'i', 'o', 'u', 'v']))
        .collect()
});

/// How a character can be read, in all ways or as it mostly is; nothing for one that isn't Chinese.
fn readings(character: char, all: bool) -> BTreeSet<String> {
    let known = character.to_pinyin_multi().into_iter().flatten().take(if all { usize::MAX } else { 1 });
    let known = known.map(|reading| reading.plain().to_owned());
    let more = READINGS.iter().filter(|(of, _)| *of == character).map(|(_, reading)| (*reading).to_owned());
    known.chain(more).flat_map(|reading| [reading.replace('ü', "v"), reading.replace('ü', "u")]).filter(|r| r.is_ascii()).collect()
}

fn initial(reading: &str) -> &str {
    reading.get(..1).unwrap_or_default()
}

/// The pieces of a name's readings.
pub fn pieces(name: &[char]) -> BTreeSet<String> {
    let read: Vec<BTreeSet<String>> = name.iter().enumerate().map(|(i, character)| readings(*character, i < BEGINNING)).collect();
    let mut pieces: BTreeSet<String> = read.iter().flatten().cloned().collect();
    for pair in read.windows(2) {
        let [first, second] = pair else { continue };
        for (one, other) in first.iter().flat_map(|one| second.iter().map(move |other| (one, other))) {
            pieces.insert(format!("{one}{other}"));
            pieces.insert(format!("{}{}", initial(one), initial(other)));
        }
    }
    pieces
}

/// Latin letters as they are looked for: without tones, in lower case, `ü` as `v`. `None` where there is anything else.
pub fn letters(text: &[char]) -> Option<String> {
    use unicode_normalization::UnicodeNormalization;
    let marked: String = text.iter().collect::<String>().replace("u\u{308}", "v").replace(['ü', 'ǖ', 'ǘ', 'ǚ', 'ǜ'], "v");
    let plain: String = marked.nfd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).collect();
    plain.bytes().all(|b| b.is_ascii_lowercase()).then_some(plain)
}

/// A part of a query: a whole syllable, the initial of one, or, at the end, the beginning of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit<'a> {
    Whole(&'a str),
    Initial(&'a str),
    Begun(&'a str),
}

impl<'a> Unit<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Whole(text) | Self::Initial(text) | Self::Begun(text) => text,
        }
    }

    fn is_initial(self) -> bool {
        matches!(self, Self::Initial(_))
    }
}

/// The ways to cut a query, those of few units first.
fn cuts(query: &str) -> Vec<Vec<Unit<'_>>> {
    fn go_on<'a>(rest: &'a str, so_far: &mut Vec<Unit<'a>>, left: usize, found: &mut Vec<Vec<Unit<'a>>>) {
        if rest.is_empty() {
            found.push(so_far.clone());
            return;
        }
        if left == 0 || found.len() >= CUTS {
            return;
        }
        let mut units: Vec<Unit<'a>> = Vec::new();
        for end in (1..=rest.len().min(6)).rev() {
            let Some(text) = rest.get(..end) else { continue };
            if SYLLABLES.contains(text) {
                units.push(Unit::Whole(text));
            } else if end == rest.len() && end > 1 && begun_by(text).next().is_some() {
                units.push(Unit::Begun(text));
            }
        }
        units.extend(rest.get(..1).filter(|first| begun_by(first).next().is_some()).map(Unit::Initial));
        for unit in units {
            so_far.push(unit);
            go_on(&rest[unit.text().len()..], so_far, left - 1, found);
            so_far.pop();
        }
    }
    if !(2..=LONGEST).contains(&query.len()) {
        return Vec::new();
    }
    // By the fewest units; and one more, where these are all syllables: people write 西安 as they write 仙.
    for least in 1..=query.len() {
        let mut found = Vec::new();
        go_on(query, &mut Vec::new(), least, &mut found);
        if found.is_empty() {
            continue;
        }
        let mut more = Vec::new();
        go_on(query, &mut Vec::new(), least + 1, &mut more);
        found.extend(more.into_iter().filter(|cut| cut.len() > least && !cut.iter().any(|unit| unit.is_initial())));
        let initials: Vec<Unit<'_>> = (0..query.len()).filter_map(|i| query.get(i..=i)).map(Unit::Initial).collect();
        if initials.len() > least && initials.iter().all(|unit| begun_by(unit.text()).next().is_some()) {
            found.push(initials);
        }
        return found;
    }
    Vec::new()
}

/// The syllables that begin so.
fn begun_by<'a>(text: &'a str) -> impl Iterator<Item = &'static String> + 'a {
    SYLLABLES.range(text.to_owned()..).take_while(move |syllable| syllable.starts_with(text))
}

/// What a query looks for: of one of these ways, all; of each, one of its pieces.
pub fn wanted(query: &str) -> Vec<Vec<Vec<String>>> {
    cuts(query).into_iter().map(|cut| of_cut(&cut)).collect()
}

fn of_cut(cut: &[Unit<'_>]) -> Vec<Vec<String>> {
    // The last syllable may go on.
    let last = cut.len().saturating_sub(1);
    let syllables = |i: usize| -> Vec<String> {
        match cut[i] {
            Unit::Whole(text) if i < last => vec![text.to_owned()],
            unit => begun_by(unit.text()).cloned().collect(),
        }
    };
    let mut all = Vec::new();
    for i in 0..last {
        let (one, other) = (cut[i], cut[i + 1]);
        if one.is_initial() || other.is_initial() {
            all.push(vec![format!("{}{}", initial(one.text()), initial(other.text()))]);
        } else {
            all.push(syllables(i + 1).into_iter().map(|next| format!("{}{next}", one.text())).collect());
        }
    }
    // A syllable between initials stands in no pair.
    for (i, unit) in cut.iter().enumerate() {
        let paired = (i > 0 && !cut[i - 1].is_initial()) || (i < last && !cut[i + 1].is_initial());
        if !unit.is_initial() && !paired {
            all.push(syllables(i));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finds(query: &str, name: &str) -> bool {
        let pieces = pieces(&name.chars().collect::<Vec<_>>());
        wanted(query).iter().any(|way| !way.is_empty() && way.iter().all(|any| any.iter().any(|piece| pieces.contains(piece))))
    }

    #[test]
    fn people_are_found_as_they_are_called() {
        for (name, queries) in [
            ("曾国强", &["zengguoqiang", "zgq", "cgq", "zengguoq", "zgqiang", "zengg", "guoqiang", "gq", "zeng", "qian"][..]),
            ("单雄信", &["sxx", "dxx", "shanxiongxin", "shanx"]),
            ("仇天赐", &["qiutianci", "qtc"]),
            ("解小东", &["xiexiaodong", "xxd"]),
            ("尉迟敬德", &["yuchijingde", "ycjd", "weichi"]),
            ("万俟雅言", &["moqiyayan", "mqyy"]),
            ("令狐冲", &["linghuchong", "lhc"]),
            ("澹台明", &["tantaiming", "ttm"]),
            ("长孙无忌", &["zhangsunwuji", "zswj"]),
            ("翟志刚", &["zhaizhigang", "zzg", "zhaizg"]),
            ("朴树", &["piaoshu", "ps"]),
            ("区小明", &["ouxiaoming", "oxm"]),
            ("查良镛", &["zhaliangyong"]),
            ("种师道", &["chongshidao"]),
            ("么书仪", &["yaoshuyi"]),
            ("盖叫天", &["gejiaotian", "gaijiaotian"]),
            ("员半千", &["yunbanqian"]),
            ("覃海", &["qinhai", "tanhai"]),
            ("缪小宝", &["miaoxiaobao"]),
            ("乐小宝", &["yuexiaobao", "lexiaobao"]),
            ("召树屯", &["shaoshutun"]),
            ("折可适", &["shekeshi"]),
            ("郗小宝", &["xixiaobao"]),
            ("冼星海", &["xianxinghai"]),
            ("繁小宝", &["poxiaobao"]),
            ("吕布", &["lvbu", "lubu", "lb"]),
        ] {
            for query in queries {
                assert!(finds(query, name), "{name} by {query}");
            }
        }
    }

    #[test]
    fn places_are_found_as_they_are_called() {
        for (name, queries) in [
            ("登封市见义勇为协会", &["dengfeng", "df", "dfs", "dengfengshi", "jyyw", "jianyiyongwei", "dengf", "yongwei"][..]),
            ("荥阳市", &["xingyang", "xy", "xys"]),
            ("中牟县", &["zhongmu", "zm", "zmx"]),
            ("长兴路工作站", &["changxinglu", "cxl"]),
            ("大学路", &["daxuelu", "dxl"]),
            ("重阳节", &["chongyang"]),
            ("浚县", &["xunxian"]),
            ("渑池县", &["mianchi"]),
            ("长垣市", &["changyuan"]),
            ("泌阳县", &["biyang"]),
            ("睢阳区", &["suiyang"]),
            ("柘城县", &["zhecheng"]),
            ("武陟县", &["wuzhi"]),
            ("郏县", &["jiaxian"]),
            ("西安路", &["xian", "xianlu"]),
        ] {
            for query in queries {
                assert!(finds(query, name), "{name} by {query}");
            }
        }
    }

    #[test]
    fn others_are_not() {
        for (query, name) in
            [("zengguo", "曾强国"), ("gzq", "曾国强"), ("denglong", "登封"), ("dfx", "登封市"), ("qiangg", "曾国强"), ("li", "王")]
        {
            assert!(!finds(query, name), "{name} by {query}");
        }
        assert!(cuts("ivu").is_empty() && cuts("z").is_empty());
    }

    #[test]
    fn what_is_typed_is_read() {
        let read = |text: &str| letters(&text.chars().collect::<Vec<_>>());
        assert_eq!(read("dēngfēng").as_deref(), Some("dengfeng"));
        assert_eq!(read("lǚ").as_deref(), Some("lv"));
        assert_eq!(read("登feng"), None);
        assert!(SYLLABLES.len() > 380 && SYLLABLES.len() < 500, "{}", SYLLABLES.len());
    }

    proptest! {
        /// From wherever a character begins, as much of the reading as was typed finds the name; and so do as many initials.
        #[test]
        fn whatever_was_typed_of_a_name(name in "[王李张刘陈杨赵黄周吴国强伟芳娜敏静丽勇艳杰涛明超秀霞登封市协会]{2,8}", start in 0_usize..6, typed in 2_usize..20) {
            let characters: Vec<char> = name.chars().collect();
            let tail = &characters[start.min(characters.len() - 2)..];
            let first: Vec<String> = tail.iter().filter_map(|c| readings(*c, false).into_iter().next()).collect();
            let (whole, initials) = (first.concat(), first.iter().map(|r| initial(r)).collect::<String>());
            for query in [&whole[..typed.min(whole.len())], &initials[..typed.min(initials.len())]] {
                prop_assert!(query.len() < 2 || finds(query, &name), "{name} by {query}");
            }
        }
    }
}
