//! The type of what may be one thing or another.

use crate::template::Type;

impl Type {
    /// The type of what may be either; a secret on one side makes a secret.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Secret, _) | (_, Self::Secret) => Self::Secret,
            (a, b) if a == b => a,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            (Self::List(a), Self::List(b)) => match (*a, *b) {
                (Self::Any, other) | (other, Self::Any) => Self::List(Box::new(other)),
                (a, b) => Self::List(Box::new(a.or(b))),
            },
            // What holds a secret is not forgotten, whatever else it may be.
            (Self::Any, other) | (other, Self::Any) if !other.has_secret() => Self::Any,
            (a, b) => {
                let mut each: Vec<Self> = Vec::new();
                for found in a.alternatives().into_iter().chain(b.alternatives()) {
                    if !each.contains(&found) {
                        each.push(found);
                    }
                }
                Self::Either(each)
            }
        }
    }

    /// The types of which it is one.
    pub(in crate::template) fn alternatives(self) -> Vec<Self> {
        match self {
            Self::Either(all) => all,
            one => vec![one],
        }
    }

    /// Whether a secret is in it, at any depth.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Secret => true,
            Self::List(items) | Self::Open(items) => items.has_secret(),
            Self::Map(map) => map.values().any(Self::has_secret),
            Self::Either(all) => all.iter().any(Self::has_secret),
            _ => false,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }
}
