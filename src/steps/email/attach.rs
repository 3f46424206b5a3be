//! What goes along with a mail: whole, shortened, or named as missing.

use std::path::PathBuf;

use crate::files::{self, Excerpt};
use crate::mail::Attachment;
use crate::quantity::Size;
use crate::step::{Look, Touch};

/// A file to attach.
#[derive(Debug)]
pub struct Attach {
    pub path: PathBuf,
    /// Its size when it was looked at, or why there is none.
    size: Result<u64, String>,
}

impl Attach {
    /// Looks whether it is there; that it is not is no error.
    pub fn look(look: &Look, path: &str) -> Self {
        let path = PathBuf::from(path);
        Self { size: files::size(look, &path).map_err(|e| e.to_string()), path }
    }

    /// For people, before the mail goes.
    pub fn shown(&self, max: Size) -> String {
        let path = self.path.display();
        match &self.size {
            Ok(size) if *size > max.0 => format!("attaches `{path}`, {}, shortened to {max}", Size(*size)),
            Ok(size) => format!("attaches `{path}`, {}", Size(*size)),
            Err(_) => format!("attaches `{path}`, which is not there now"),
        }
    }

    /// Reads it. The second is what the mail says of it when it is not there whole.
    pub async fn read(&self, touch: &Touch, max: Size) -> (Option<Attachment>, Option<String>) {
        let (look, path) = (touch.look().clone(), self.path.clone());
        let reading = move || {
            let large = files::size(&look, &path)? > max.0;
            files::read_head_tail(&look, &path, if large { max.0.saturating_sub(LINE) } else { max.0 })
        };
        let read = tokio::task::spawn_blocking(reading).await;
        let path = self.path.display();
        let missing = |why: String| (None, Some(format!("not attached: `{path}`: {why}")));
        let excerpt = match read {
            Ok(Ok(excerpt)) => excerpt,
            Ok(Err(error)) => return missing(error.to_string()),
            Err(error) => return missing(error.to_string()),
        };
        let name = self.path.file_name().map_or_else(|| path.to_string(), |n| n.to_string_lossy().into_owned());
        let left_out = excerpt.left_out;
        if left_out == 0 {
            return (Some(Attachment { name, content: excerpt.head }), None);
        }
        match shortened(excerpt) {
            Some(content) => {
                let note = format!("shortened: `{path}`: {left_out} bytes of its middle are left out");
                (Some(Attachment { name, content }), Some(note))
            }
            None => missing(format!("it is larger than {max} and no text that could be shortened")),
        }
    }
}

/// The most that the line in place of what is left out takes up, in bytes.
const LINE: u64 = 64;

/// A text with a line in place of what is left out; none when it is no text.
fn shortened(excerpt: Excerpt) -> Option<Vec<u8>> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
    if !text(&excerpt.head) || !text(&excerpt.tail) {
        return None;
    }
    let mut content = excerpt.head;
    if content.last().is_some_and(|b| *b != b'\n') {
        content.push(b'\n');
    }
    content.extend(format!("\n[… {} bytes are left out here …]\n\n", excerpt.left_out).bytes());
    content.extend(excerpt.tail);
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shortened_and_another_file_is_not() {
        let excerpt = |head: &[u8]| Excerpt { head: head.to_vec(), tail: b"end\n".to_vec(), left_out: 70 };
        let text = shortened(excerpt(b"start")).expect("a text");
        assert_eq!(String::from_utf8_lossy(&text), "start\n\n[… 70 bytes are left out here …]\n\nend\n");
        assert_eq!(shortened(excerpt(b"PK\0")), None);
        assert_eq!(shortened(excerpt(b"\xff\xfe")), None);
    }
}
