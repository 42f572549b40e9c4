//! JSON with line breaks, everything else of it as it was: the order of keys, numbers, spellings.

/// A document on many lines, with a line break at its end. What is no JSON comes out in some way, and whole.
pub(super) fn indented(json: &str, step: &str) -> String {
    let mut out = Indented { text: String::with_capacity(json.len() * 2), depth: 0, step };
    let mut rest = json.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        match c {
            '"' => {
                let mut is_escaped = false;
                let mut end = json.len();
                for (at, c) in rest.by_ref() {
                    if c == '"' && !is_escaped {
                        end = at + 1;
                        break;
                    }
                    is_escaped = c == '\\' && !is_escaped;
                }
                out.text.push_str(&json[start..end]);
            }
            '{' | '[' => {
                out.text.push(c);
                while rest.next_if(|(_, c)| c.is_ascii_whitespace()).is_some() {}
                match rest.next_if(|(_, c)| matches!(c, '}' | ']')) {
                    Some((_, end)) => out.text.push(end),
                    None => out.open(),
                }
            }
            '}' | ']' => out.close(c),
            ',' => {
                out.text.push(c);
                out.line();
            }
            ':' => out.text.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.text.push(c),
        }
    }
    out.text.push('\n');
    out.text
}

struct Indented<'s> {
    text: String,
    depth: usize,
    step: &'s str,
}

impl Indented<'_> {
    fn open(&mut self) {
        self.depth += 1;
        self.line();
    }

    fn close(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.text.push(bracket);
    }

    fn line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.depth {
            self.text.push_str(self.step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_changes_but_white_space_outside_of_texts() {
        let json = r#"{"z":1.50,"a":["x, \"y\": {z}\\",true,{ },[ ]],"e":"\u00e4 b"}"#;
        let expected = "{\n\t\"z\": 1.50,\n\t\"a\": [\n\t\t\"x, \\\"y\\\": {z}\\\\\",\n\t\ttrue,\n\t\t{},\n\t\t[]\n\t],\n\t\"e\": \"\\u00e4 b\"\n}\n";
        assert_eq!(indented(json, "\t"), expected);
        assert_eq!(indented(expected, "\t"), expected);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken(text in ".{0,64}") {
            indented(&text, "  ");
        }

        #[test]
        fn a_text_says_the_same(words in proptest::collection::vec(".{0,8}", 0..8)) {
            let json = serde_json::to_string(&words).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&indented(&json, " ")).unwrap(), words);
        }
    }
}
