//! Texts that keep rules: what all of them can do once their `new` has checked one.

/// For a newtype of `Arc<str>` with `new(&str) -> Result<Self, Error>`: the text again, for people, and in CBOR,
/// where one that breaks the rules is refused with `$reason`.
macro_rules! checked_text {
    ($text:ident, $error:ident, $reason:literal) => {
        impl $text {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl core::fmt::Display for $text {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::str::FromStr for $text {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl<C> minicbor::Encode<C> for $text {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _context: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $text {
            fn decode(
                decoder: &mut minicbor::Decoder<'b>,
                _context: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                Self::new(decoder.str()?).map_err(|_bad| minicbor::decode::Error::message($reason))
            }
        }
    };
}
pub(crate) use checked_text;
