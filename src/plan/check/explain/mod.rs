//! What each code means, with a plan that is wrong and one that is right; a test judges both with the checker itself.
//!
//! Each explanation is a Markdown file of this folder: a title, paragraphs, then the two plans under `## Wrong` and
//! `## Right`, where an example is possible.

use std::sync::LazyLock;

use super::codes;
use crate::diag::Code;
use crate::document::codes as yaml;

/// What a code means.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    pub code: Code,
    /// A fragment.
    pub title: &'static str,
    /// What is wrong, why it matters and what to do: paragraphs with an empty line between them.
    pub text: &'static str,
    /// A plan with the fault; empty where an example would have other faults too.
    pub wrong: &'static str,
    /// The same plan without it.
    pub right: &'static str,
}

/// Every code there is, in order.
pub fn all() -> impl Iterator<Item = &'static Explanation> {
    static EXPLANATIONS: LazyLock<Vec<Explanation>> =
        LazyLock::new(|| FILES.iter().filter_map(|file| parse_explanation(file.code, file.text).ok()).collect());
    EXPLANATIONS.iter()
}

/// A file of this folder.
struct File {
    /// The name without `.md`: the code as it is shown.
    #[cfg(test)]
    name: &'static str,
    code: Code,
    text: &'static str,
}

macro_rules! files {
    ($($name:literal: $code:expr),* $(,)?) => {
        /// The file of each code, in order.
        const FILES: &[File] = &[$(File {
            #[cfg(test)]
            name: $name,
            code: $code,
            text: include_str!(concat!($name, ".md")),
        }),*];
    };
}

files![
    "RP0001": yaml::SYNTAX,
    "RP0002": yaml::DUPLICATE_KEY,
    "RP0003": yaml::MERGE_KEY,
    "RP0004": yaml::DOCUMENTS,
    "RP0005": yaml::DOUBTFUL,
    "RP0006": yaml::KEY,
    "RP0007": yaml::EMPTY,
    "RP0008": yaml::LIMIT,
    "RP0009": yaml::TAG,
    "RP0010": yaml::BRACES,
    "RP0011": yaml::ESCAPE,
    "RP0102": codes::UNKNOWN_KEY,
    "RP0103": codes::MISSING_KEY,
    "RP0104": codes::WRONG_TYPE,
    "RP0105": codes::WRONG_VALUE,
    "RP0106": codes::DUPLICATE_ID,
    "RP0107": codes::NO_TEMPLATE,
    "RP0108": codes::BAD_PARAM,
    "RP0109": codes::TARGET_SOURCE,
    "RP0201": codes::UNKNOWN_STEP,
    "RP0202": codes::MISSING_PARAM,
    "RP0203": codes::FAULT,
    "RP0301": codes::SYNTAX,
    "RP0302": codes::CALL,
    "RP0303": codes::NAME,
    "RP0304": codes::TYPE,
    "RP0305": codes::CYCLE,
    "RP0306": codes::WRAPPED_WHEN,
    "RP0307": codes::TOO_EARLY,
    "RP0308": codes::MAYBE_MISSING,
    "RP0309": codes::FAILS,
    "RP0401": codes::EXPOSED,
    "RP0402": codes::SECRET_SOURCE,
    "RP0403": codes::LITERAL_SECRET,
    "RP0404": codes::NOT_SECRET,
    "RP0405": codes::ENV_NAME,
    "RP0406": codes::TOKEN_IN_URL,
    "RP0407": codes::WEAK_PASSWORD,
    "RP0501": codes::CONSTANT_WHEN,
    "RP0502": codes::UNUSED,
    "RP0503": codes::NEVER_RUNS,
    "RP0504": codes::NO_TIMEOUT,
    "RP0505": codes::RETENTION_FIRST,
    "RP0506": codes::RETENTION_ELSEWHERE,
    "RP0507": codes::NO_ADDRESS,
    "RP0508": codes::LOOKS_LIKE_TEMPLATE,
    "RP0509": codes::IDLE_RETRY,
    "RP0510": codes::SAME_ARCHIVE,
    "RP0511": codes::NO_TARGET,
    "RP0512": codes::SHELL_PATH,
    "RP0513": codes::WINDOWS_PATH,
    "RP0514": codes::FIXED_NAME,
    "RP0515": codes::DATE_IN_NAME,
    "RP0516": codes::COPIES_STAY,
    "RP0517": codes::TEXT_AS_PATH,
    "RP0518": codes::NO_DATABASE,
    "RP0601": codes::VERSION,
];

/// Reads the file of a code.
///
/// # Errors
/// What the file lacks.
fn parse_explanation(code: Code, file: &'static str) -> Result<Explanation, &'static str> {
    let (title, body) = file
        .strip_prefix("# ")
        .and_then(|rest| rest.split_once("\n\n"))
        .filter(|(title, _)| !title.trim().is_empty() && !title.contains('\n'))
        .ok_or("expected `# ` with a title, then an empty line")?;
    let (text, wrong, right) = match body.split_once("\n## Wrong\n\n```yaml\n") {
        None => (body, "", ""),
        Some((text, plans)) => {
            let (wrong, right) = plans
                .split_once("```\n\n## Right\n\n```yaml\n")
                .and_then(|(wrong, right)| Some((wrong, right.strip_suffix("```\n")?)))
                .ok_or("expected a `yaml` block under `## Wrong`, then one under `## Right`, then the end")?;
            (text, wrong, right)
        }
    };
    let text = text.trim_end();
    if text.is_empty() {
        return Err("expected a paragraph under the title");
    }
    if text.lines().any(|l| l.starts_with(['#', ' ', '-', '|']) || l.starts_with("```")) {
        return Err("expected nothing but paragraphs between the title and `## Wrong`");
    }
    if [wrong, right].iter().any(|plan| plan.contains("```")) {
        return Err("expected one block under each heading");
    }
    Ok(Explanation { code, title, text, wrong, right })
}

#[cfg(test)]
mod tests;
