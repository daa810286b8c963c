//! Which form of an answer a caller accepts (RFC 9110, 12.5.1).

use actix_web::http::header::{self, HeaderMap};

use crate::error::{Code, Error, Result};

/// Of the forms that are offered, the one that the caller prefers; the first where all are alike to them.
pub fn preferred(headers: &HeaderMap, offered: &[&'static str]) -> Result<&'static str> {
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).collect();
    if accepted.is_empty() {
        return Ok(offered[0]);
    }
    let mut best = None;
    for form in offered {
        let weight = weight(&accepted, form);
        if weight > 0.0 && best.is_none_or(|(_, best)| weight > best) {
            best = Some((*form, weight));
        }
    }
    best.map(|(form, _)| form).ok_or_else(|| {
        Error::because(Code::NotAcceptable, format!("可提供：{}", offered.join("、")), format!("what is offered: {}", offered.join(", ")))
    })
}

/// The weight that the most specific of the ranges gives to a form.
fn weight(accepted: &[&str], form: &str) -> f32 {
    let kind = form.split('/').next().unwrap_or_default();
    let mut found = (0, 0.0);
    for range in accepted {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        let specific = if name.eq_ignore_ascii_case(form) {
            3
        } else if name.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(kind)) {
            2
        } else if name == "*/*" {
            1
        } else {
            continue;
        };
        if specific > found.0 {
            found = (specific, q);
        }
    }
    found.1
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn the_form_that_is_asked_for() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(text).expect("a header"));
            preferred(&headers, &["application/json", "text/markdown"]).map_err(|error| error.code)
        };
        assert_eq!(preferred(&HeaderMap::new(), &["application/json"]).ok(), Some("application/json"));
        for json in ["*/*", "application/json", "text/markdown;q=0.5, application/json", "text/html, */*;q=0.1", "application/*"] {
            assert_eq!(of(json), Ok("application/json"), "{json}");
        }
        for markdown in ["text/markdown", "text/*", "application/json;q=0.2, TEXT/Markdown", "*/*;q=0.1, text/markdown;q=0.3"] {
            assert_eq!(of(markdown), Ok("text/markdown"), "{markdown}");
        }
        for neither in ["text/html", "application/json;q=0", "image/*"] {
            assert_eq!(of(neither), Err(Code::NotAcceptable), "{neither}");
        }
    }
}
