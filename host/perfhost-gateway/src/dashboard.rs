//! `/dashboard`: one page with its style sheet and scripts, all inside the binary. Owns which files there are and what a
//! browser may do with them; everything on the page comes from `/api`, so the files themselves are for anybody who may
//! reach the host by its name.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::access::AccessPolicy;
use crate::answer::Answer;
use crate::api::Trouble;

/// Path, type and content of every file.
const FILES: &[(&str, &str, &str)] = &[
    ("/dashboard", "text/html; charset=utf-8", include_str!("dashboard/page.html")),
    ("/dashboard/style.css", "text/css; charset=utf-8", include_str!("dashboard/style.css")),
    ("/dashboard/icon.svg", "image/svg+xml", include_str!("dashboard/icon.svg")),
    ("/dashboard/alerts.js", SCRIPT, include_str!("dashboard/alerts.js")),
    ("/dashboard/api.js", SCRIPT, include_str!("dashboard/api.js")),
    ("/dashboard/axis.js", SCRIPT, include_str!("dashboard/axis.js")),
    ("/dashboard/cards.js", SCRIPT, include_str!("dashboard/cards.js")),
    ("/dashboard/chart.js", SCRIPT, include_str!("dashboard/chart.js")),
    ("/dashboard/decisions.js", SCRIPT, include_str!("dashboard/decisions.js")),
    ("/dashboard/element.js", SCRIPT, include_str!("dashboard/element.js")),
    ("/dashboard/experiments.js", SCRIPT, include_str!("dashboard/experiments.js")),
    ("/dashboard/fleet.js", SCRIPT, include_str!("dashboard/fleet.js")),
    ("/dashboard/format.js", SCRIPT, include_str!("dashboard/format.js")),
    ("/dashboard/histogram.js", SCRIPT, include_str!("dashboard/histogram.js")),
    ("/dashboard/main.js", SCRIPT, include_str!("dashboard/main.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a path is the dashboard's.
pub(crate) fn serves(path: &str) -> bool {
    path == "/dashboard" || path.starts_with("/dashboard/")
}

pub(crate) fn answer(access: &AccessPolicy, request: &Request<Incoming>) -> Result<Response<Answer>, Trouble> {
    access.check_page(request.headers())?;
    Trouble::unless_get(request.method())?;
    let path = request.uri().path().trim_end_matches('/');
    let Some((_, content_type, content)) = FILES.iter().find(|(known, ..)| *known == path) else {
        return Err(Trouble::new(StatusCode::NOT_FOUND, "not_found", format!("{path} is no part of the dashboard")));
    };
    let mut response = Response::new(Answer::whole(Bytes::from_static(content.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Another version of the host has other files under the same names.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one visit loads.
    const MOST_BYTES: usize = 150_000;

    #[test]
    fn the_whole_page_is_small_and_needs_nothing_from_elsewhere() {
        assert!(FILES.iter().map(|(.., content)| content.len()).sum::<usize>() < MOST_BYTES);
        for (path, _, content) in FILES {
            let outside = content.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("http://") && !outside.contains("https://"), "{path}");
        }
    }

    #[test]
    fn every_file_that_a_file_names_is_served() {
        for (path, _, content) in FILES {
            let imports = content.lines().filter(|line| line.starts_with("import "));
            for import in imports {
                let name = import.rsplit('"').nth(1).unwrap().trim_start_matches("./");
                assert!(
                    FILES.iter().any(|(known, ..)| *known == format!("/dashboard/{name}")),
                    "{path} imports {name}"
                );
            }
        }
        let (.., page) = FILES[0];
        for part in page.split('"').filter(|part| part.starts_with("/dashboard/")) {
            assert!(FILES.iter().any(|(known, ..)| *known == part), "{part}");
        }
    }
}
