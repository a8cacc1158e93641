//! A few of many names in a line.

/// The first `shown`, and how many more there are: `a, b and 3 more`.
pub fn some(
    all: impl IntoIterator<Item: AsRef<str>, IntoIter: ExactSizeIterator>,
    shown: usize,
    separator: &str,
) -> String {
    let all = all.into_iter();
    let more = all.len().saturating_sub(shown);
    let mut text = String::new();
    for (index, name) in all.take(shown).enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        text.push_str(name.as_ref());
    }
    if more == 0 { text } else { format!("{text} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted() {
        let names = ["a", "b", "c"];
        assert_eq!(some(names, 3, ", "), "a, b, c");
        assert_eq!(some(names, 2, "; "), "a; b and 1 more");
        assert_eq!(some([""; 0], 2, ", "), "");
    }
}
