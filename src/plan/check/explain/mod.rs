//! What each code means, with a plan that is wrong and one that is right; a test judges both with the checker itself.

mod document;
mod expressions;
mod lint;
mod places;
mod secrets;
mod structure;

use crate::diag::Code;

/// What a code means.
#[derive(Debug)]
pub struct Explanation {
    pub code: Code,
    /// A fragment.
    pub title: &'static str,
    /// Why it matters and what to do, in sentences.
    pub text: &'static str,
    /// A plan with the fault; empty where only an executor knows one.
    pub wrong: &'static str,
    /// The same plan without it.
    pub right: &'static str,
}

/// Every code there is, in order.
pub fn all() -> impl Iterator<Item = &'static Explanation> {
    [document::ALL, structure::ALL, expressions::ALL, secrets::ALL, lint::ALL, places::ALL].into_iter().flatten()
}
