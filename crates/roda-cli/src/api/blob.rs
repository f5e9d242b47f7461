//! Bytes in JSON, which knows only text.

use serde::{Deserialize, Serialize};

use super::types::{hex, unhex};

/// Bytes: a string if they are UTF-8, else `{"hex": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Blob {
    /// They are text.
    Text(String),
    /// They are not.
    Bytes {
        /// Two digits each.
        hex: String,
    },
}

impl Blob {
    /// The bytes themselves; `None` if the digits are none.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes { hex } => unhex(&hex),
        }
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(
            |error| Self::Bytes {
                hex: hex(error.as_bytes()),
            },
            Self::Text,
        )
    }
}

impl Default for Blob {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_string_where_they_can_be() {
        for (bytes, json) in [
            (&b"ol\xc3\xa1\n"[..], r#""olá\n""#),
            (b"\xff\x00", r#"{"hex":"ff00"}"#),
            (b"", r#""""#),
        ] {
            let blob = Blob::from(bytes.to_vec());
            assert_eq!(serde_json::to_string(&blob).unwrap(), json);
            let back: Blob = serde_json::from_str(json).unwrap();
            assert_eq!(back.into_bytes().as_deref(), Some(bytes));
        }
        let odd: Blob = serde_json::from_str(r#"{"hex":"f"}"#).unwrap();
        assert_eq!(odd.into_bytes(), None);
    }
}
