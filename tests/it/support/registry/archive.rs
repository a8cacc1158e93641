//! Small npm tarballs, the same bytes for the same files.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A gzipped tar archive with these files below `package/`.
pub fn tgz(files: &[(&str, &[u8])]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for (name, content) in files {
        encoder.write_all(&header(&format!("package/{name}"), content.len())).unwrap();
        encoder.write_all(content).unwrap();
        encoder.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap().into()
}

fn header(name: &str, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
