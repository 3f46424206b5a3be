//! What makes SQL unfit for `psql`, in words.

use super::Piece;

/// Why `psql` does not read this piece as it was meant; none: it does.
pub fn misread(piece: &Piece<'_>) -> Option<String> {
    match piece {
        Piece::Meta { line, text } => {
            let text: String = String::from_utf8_lossy(text).chars().take(80).flat_map(char::escape_debug).collect();
            Some(format!(
                "line {line} of the SQL has a command of psql (`{text}`), which pg_dump never writes: it could run programs"
            ))
        }
        Piece::Doubt { line, why } => Some(format!("line {line} of the SQL has {why}, which pg_dump never writes")),
        Piece::Begin { line } => Some(format!(
            "line {line} of the SQL has a function in which something is named `begin`: psql takes that for the start of a \
             body (BEGIN ATOMIC), and does not see where the statements end that follow"
        )),
        _ => None,
    }
}
