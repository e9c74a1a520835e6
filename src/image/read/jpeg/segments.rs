//! The segments of a JPEG file (ITU-T T.81, annex B): which kind of file it is, what is embedded, and where it ends.

use super::super::raster::Fault;

/// A colour component of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    pub id: u8,
    /// Sampling factors: across and down.
    pub sampling: (u8, u8),
}

/// What the segments of a file say.
#[derive(Debug, Default)]
pub struct Segments {
    /// The marker that begins the frame: 0xC0 to 0xCF.
    pub frame: u8,
    pub precision: u8,
    pub width: u32,
    pub height: u32,
    pub components: Vec<Component>,
    /// How many components each scan holds.
    pub scans: Vec<usize>,
    /// The EXIF block, with what stands before it.
    pub exif: Option<Vec<u8>>,
    /// The ICC profile, put together. An error if parts of it are missing.
    pub icc: Option<Result<Vec<u8>, String>>,
    /// The number of bytes up to the end marker and with it, or up to where the segments end without one.
    pub length: usize,
    pub has_end: bool,
    /// Whether every component was seen in a scan.
    pub complete: bool,
    /// Whether every coefficient of every component was sent to its last bit.
    pub refined: bool,
}

impl Segments {
    /// Reads them up to the end marker, or to where what follows is no JPEG.
    ///
    /// # Errors
    /// A file that ends, or breaks the rules, before its first scan.
    pub fn of(jpeg: &[u8]) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut icc: Vec<(u8, u8, &[u8])> = Vec::new();
        // Per component and coefficient, the lowest bit that was sent; 0xFF for none.
        let mut sent: Vec<[u8; 64]> = Vec::new();
        let mut at = 2;
        loop {
            found.length = at.min(jpeg.len());
            let Some(&[prefix, marker]) = jpeg.get(at..at + 2) else {
                // A last byte of coded data, where there is no end marker.
                found.length = jpeg.len();
                break;
            };
            match (prefix, marker) {
                // A fill byte: the second 0xFF may itself be the prefix of a marker.
                (0xFF, 0xFF) => at += 1,
                // A stuffed zero in coded data, and the markers that stand alone.
                (0xFF, 0x00 | 0x01 | 0xD0..=0xD7) => at += 2,
                (0xFF, 0xD9) => {
                    found.length = at + 2;
                    found.has_end = true;
                    break;
                }
                // Segments that may stand between scans, or before the first.
                (0xFF, 0xC0..=0xCF | 0xDA..=0xDF | 0xE0..=0xEF | 0xFE) => {
                    let size = jpeg.get(at + 2..at + 4).map(|b| be(b) as usize);
                    let end = at + 2 + size.unwrap_or(0);
                    let Some(body) = jpeg.get(at + 4..end) else {
                        break;
                    };
                    match marker {
                        0xC4 | 0xC8 | 0xCC => {}
                        0xC0..=0xCF if found.frame == 0 => {
                            found.read_frame(marker, body)?;
                            sent = vec![[0xFF; 64]; found.components.len()];
                        }
                        // A second frame: of a file that begins behind this one.
                        0xC0..=0xCF => break,
                        0xDA => found.read_scan(body, &mut sent)?,
                        0xE1 if body.starts_with(b"Exif\0\0") && found.exif.is_none() => {
                            found.exif = Some(body.to_vec());
                        }
                        0xE2 => {
                            if let Some([number, count, part @ ..]) =
                                body.strip_prefix(b"ICC_PROFILE\0")
                            {
                                icc.push((*number, *count, part));
                            }
                        }
                        _ => {}
                    }
                    at = end;
                }
                // Anything else behind 0xFF is no part of a file of this kind, nor is a second start marker.
                (0xFF, _) if found.scans.is_empty() => {
                    return Err(Fault::damaged("it has a marker that JPEG does not know"));
                }
                (0xFF, _) => break,
                // Coded data.
                _ => at += 1,
            }
        }
        if found.scans.is_empty() {
            return Err(if found.has_end {
                Fault::damaged("it holds no picture")
            } else {
                Fault::Truncated
            });
        }
        found.icc = (!icc.is_empty()).then(|| joined(icc));
        found.complete = sent.iter().all(|coefficients| coefficients[0] != 0xFF);
        found.refined = sent.iter().all(|c| c.iter().all(|bit| *bit == 0));
        Ok(found)
    }

    fn read_frame(&mut self, marker: u8, body: &[u8]) -> Result<(), Fault> {
        let [precision, h0, h1, w0, w1, count, rest @ ..] = body else {
            return Err(Fault::damaged("its frame header is cut"));
        };
        self.frame = marker;
        self.precision = *precision;
        self.height = be(&[*h0, *h1]);
        self.width = be(&[*w0, *w1]);
        let component = |c: &[u8]| Component {
            id: c[0],
            sampling: (c[1] >> 4, c[1] & 15),
        };
        let parts = rest.chunks_exact(3).take((*count).into());
        self.components = parts.map(component).collect();
        if self.components.len() != usize::from(*count) || *count == 0 {
            return Err(Fault::damaged("its frame header is cut"));
        }
        Ok(())
    }

    fn read_scan(&mut self, body: &[u8], sent: &mut [[u8; 64]]) -> Result<(), Fault> {
        let bad = || Fault::damaged("the header of a scan makes no sense");
        let (&count, rest) = body.split_first().ok_or_else(bad)?;
        let count = usize::from(count);
        let (ids, rest) = rest.split_at_checked(2 * count).ok_or_else(bad)?;
        let &[start, end, bits, ..] = rest else {
            return Err(bad());
        };
        // A sequential frame sends all of a component at once, whatever these three say.
        let (start, end, low) = if is_progressive(self.frame) {
            (start.min(63), end.min(63), bits & 15)
        } else {
            (0, 63, 0)
        };
        for id in ids.iter().step_by(2) {
            let known = self.components.iter().position(|c| c.id == *id);
            let component = known.ok_or_else(bad)?;
            for k in start..=end {
                sent[component][usize::from(k)] = low;
            }
        }
        self.scans.push(count);
        Ok(())
    }

    /// Whether the first component, luma, is sampled below another one, and above none.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn first_is_coarse(&self) -> bool {
        let Some((first, rest)) = self.components.split_first() else {
            return false;
        };
        let (across, down) = first.sampling;
        let above = |c: &Component| across > c.sampling.0 || down > c.sampling.1;
        let below = |c: &Component| across < c.sampling.0 || down < c.sampling.1;
        !rest.iter().any(above) && rest.iter().any(below)
    }

    /// The variant of JPEG that nobody reads here, if it is one.
    pub fn unsupported(&self) -> Option<String> {
        let kind = match self.frame {
            0xC3 | 0xC7 | 0xCB | 0xCF => "lossless coding",
            0xC5 | 0xC6 | 0xCD | 0xCE => "hierarchical coding",
            _ if self.precision == 12 => "12 bits per sample",
            _ if self.precision != 8 => {
                return Some(format!("{} bits per sample", self.precision));
            }
            _ if self.height == 0 => "a height that is told behind the picture",
            _ => return None,
        };
        Some(kind.into())
    }
}

pub fn is_progressive(frame: u8) -> bool {
    matches!(frame, 0xC2 | 0xC6 | 0xCA | 0xCE)
}

fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b))
}

/// The parts of a profile (ICC.1:2010, B.4) in their order.
fn joined(mut parts: Vec<(u8, u8, &[u8])>) -> Result<Vec<u8>, String> {
    parts.sort_by_key(|part| part.0);
    let whole = parts.iter().enumerate().all(|(i, (number, count, _))| {
        usize::from(*number) == i + 1 && usize::from(*count) == parts.len()
    });
    if whole {
        Ok(parts.iter().flat_map(|part| part.2).copied().collect())
    } else {
        Err("its ICC profile is not whole".into())
    }
}
