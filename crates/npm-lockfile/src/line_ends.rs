//! The same text with other line endings.

/// With line feeds alone. A carriage return that ends no line stays.
#[must_use]
pub fn with_line_feeds(text: &[u8]) -> Vec<u8> {
    let mut unix = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        if *byte != b'\r' || text.get(at + 1) != Some(&b'\n') {
            unix.push(*byte);
        }
    }
    unix
}

/// With CRLF; the text has line feeds alone.
#[must_use]
pub fn with_crlf(text: &[u8]) -> Vec<u8> {
    let crlf = |byte: &u8| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] };
    text.iter().flat_map(crlf).collect()
}

/// Whether a line ends in CRLF.
#[must_use]
pub fn has_crlf(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"\r\n").is_some()
}
