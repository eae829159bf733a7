//! The built-in scenarios.

use super::Scenario;

/// One of them by its name.
pub fn find(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    vec![Scenario { name: "steady".to_owned(), ..Scenario::default() }]
}
