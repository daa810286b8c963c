//! Names by their pinyin: what of a name's readings is indexed, and what a query in Latin letters looks for.
//!
//! Of the character that a name begins with all readings count: 曾国强 is found by `zengguoqiang` and `cengguoqiang`, 单雄信 by `sxx` and
//! `dxx`, 长垣 by `changyuan` and `zhangyuan`. Further on it is the usual one, since most others are rare and would only find what nobody
//! means. Both have beside them what [`READINGS`] says. A search shows what it finds in the order of its list and ranks nothing, so the
//! right reading need not be told from the others; it has to be among them.
//!
//! The pieces are a character's reading (`deng`), that of two neighbours (`dengfeng`) and their initials (`df`): they stand beside the pieces
//! of the name itself (see [`super::grams`]). One syllable, or the beginning of one, is so frequent that a page must come out of a single
//! lookup ([`syllable`]); so what only looks like one is a piece as well: the `lin` of 李娜, the `zhui` of 邹辉. A query is cut into units, each a syllable or the initial of one, the last one also
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
    let read: Vec<BTreeSet<String>> = name.iter().enumerate().map(|(i, character)| readings(*character, i == 0)).collect();
    let mut pieces: BTreeSet<String> = read.iter().flatten().cloned().collect();
    for pair in read.windows(2) {
        let [first, second] = pair else { continue };
        for (one, other) in first.iter().flat_map(|one| second.iter().map(move |other| (one, other))) {
            pieces.insert(format!("{one}{other}"));
            let begun = [format!("{one}{}", initial(other)), format!("{}{other}", initial(one))];
            pieces.extend(begun.into_iter().filter(|piece| begun_by(piece).next().is_some()));
            pieces.insert(format!("{}{}", initial(one), initial(other)));
        }
    }
    pieces
}

/// Letters of a Latin word that are looked for as one piece.
const WORD: usize = 8;

/// The parts of Latin words that are longer than a pair: few names have any.
pub fn of_words(name: &[char]) -> BTreeSet<String> {
    let words = name.split(|c| !c.is_ascii_lowercase());
    let parts = words.flat_map(|word| (3..=WORD.min(word.len())).flat_map(move |length| word.windows(length)));
    parts.map(|part| part.iter().collect()).collect()
}

/// The pieces of which a query of one syllable, or of the beginning of one, finds one; `None` of any other query.
pub fn syllable(query: &str) -> Option<Vec<String>> {
    let mut pieces: Vec<String> = begun_by(query).filter(|_| query.len() > 1).cloned().collect();
    // What only looks like the beginning of one: a Latin word, a syllable with the initial of the next.
    if !pieces.is_empty() && !SYLLABLES.contains(query) {
        pieces.push(query.to_owned());
    }
    (!pieces.is_empty()).then_some(pieces)
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

/// What may stand at a place of a query, the longest first.
fn units_at(query: &str, place: usize) -> impl Iterator<Item = Unit<'_>> {
    let rest = query.get(place..).unwrap_or_default();
    let longer = (1..=rest.len().min(6)).rev().filter_map(move |end| {
        let text = rest.get(..end)?;
        if SYLLABLES.contains(text) {
            return Some(Unit::Whole(text));
        }
        (end == rest.len() && end > 1 && begun_by(text).next().is_some()).then_some(Unit::Begun(text))
    });
    longer.chain(rest.get(..1).filter(|first| begun_by(first).next().is_some()).map(Unit::Initial))
}

/// The ways to cut a query, those of few units first.
///
/// By the fewest units, and by one more: `xian` is 仙 and 西安, `lin` is 林 and the beginning of 李娜; and as initials alone.
fn cuts(query: &str) -> Vec<Vec<Unit<'_>>> {
    if !(2..=LONGEST).contains(&query.len()) {
        return Vec::new();
    }
    // The fewest units from each place to the end, so that nobody walks into what can't be ended: there are more such ways than
    // time to try them.
    let mut fewest: Vec<Option<usize>> = vec![None; query.len()];
    fewest.push(Some(0));
    for place in (0..query.len()).rev() {
        fewest[place] = units_at(query, place).filter_map(|unit| fewest[place + unit.text().len()]).min().map(|units| units + 1);
    }
    let Some(least) = fewest[0] else { return Vec::new() };
    let mut found = Vec::new();
    go_on(query, 0, &fewest, &mut Vec::new(), least + 1, &mut found);
    found.sort_by_key(Vec::len);
    found.truncate(CUTS);
    let initials: Option<Vec<Unit<'_>>> = (0..query.len()).map(|place| units_at(query, place).find(|unit| unit.is_initial())).collect();
    found.extend(initials.filter(|initials| initials.len() > least + 1));
    found
}

/// Finds how the rest can be cut into as many units as are left, or fewer.
fn go_on<'a>(
    query: &'a str,
    place: usize,
    fewest: &[Option<usize>],
    so_far: &mut Vec<Unit<'a>>,
    left: usize,
    found: &mut Vec<Vec<Unit<'a>>>,
) {
    if place == query.len() {
        found.push(so_far.clone());
        return;
    }
    for unit in units_at(query, place) {
        let next = place + unit.text().len();
        if found.len() < 8 * CUTS && fewest[next].is_some_and(|units| units < left) {
            so_far.push(unit);
            go_on(query, next, fewest, so_far, left - 1, found);
            so_far.pop();
        }
    }
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
        if let Some(any) = syllable(query) {
            return any.iter().any(|piece| pieces.contains(piece));
        }
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
    fn a_name_that_is_being_typed_is_not_lost_on_the_way() {
        for (query, name) in [("lin", "李娜"), ("cheng", "陈国强"), ("zhui", "邹辉"), ("xian", "西安路")] {
            assert!(finds(query, name), "{name} by {query}");
        }
    }

    /// There are more ways to cut this than there is time, if the last letter is tried after all that goes before it.
    #[test]
    fn a_long_query_is_cut_at_once() {
        let long = "zhuangangai".repeat(5);
        for query in [format!("{long}u"), format!("{long}i"), long, "a".repeat(LONGEST), "an".repeat(LONGEST / 2)] {
            assert!(cuts(&query).len() <= CUTS + 1, "{query}");
        }
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
        #![proptest_config(ProptestConfig::with_cases(3_000))]

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
