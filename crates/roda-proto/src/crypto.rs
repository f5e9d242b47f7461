//! Every use of cryptography, in one place: `ring` for bulk work, HPKE for wrapping group keys.
//!
//! All randomness comes from the caller, so that the engine stays deterministic.

use alloc::vec::Vec;

use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256 as HpkeKdf;
use hpke::kem::X25519HkdfSha256 as HpkeKem;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{digest, hkdf};
use zeroize::Zeroizing;

use crate::id::{AuthorId, EpochTag, Hash, Incarnation, NodeId, SenderTag};

/// Length of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;
/// Length of an AEAD tag.
pub const SEAL_LEN: usize = 16;
/// Length of an X25519 public key.
pub const WRAP_KEY_LEN: usize = 32;

/// SHA-256 over the parts, each prefixed with nothing: callers make the encoding unambiguous.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Hash(hash)
}

/// BLAKE3 of a batch's content: the hash that is signed, and that chains batches. Of all that a node
/// does per byte, hashing with SHA-256 would cost most.
#[must_use]
pub fn content_hash(content: &[u8]) -> Hash {
    Hash(*blake3::hash(content).as_bytes())
}

/// The author that `node` is in one life of its database.
///
/// The first half depends on the node alone, so that an author of whom nothing is known yet can be told
/// to belong to a removed node.
#[must_use]
pub fn author_id(node: &NodeId, incarnation: &Incarnation) -> AuthorId {
    let life = sha256(&[b"roda author v1", &node.0, &incarnation.0]);
    let mut id = [0; AuthorId::LEN];
    let (of_node, of_life) = id.split_at_mut(AuthorId::LEN / 2);
    of_node.copy_from_slice(&node_half(node));
    of_life.copy_from_slice(&life.0[..AuthorId::LEN / 2]);
    AuthorId(id)
}

/// Whether `author` is `node` in some life of its database.
#[must_use]
pub fn is_author_of(author: &AuthorId, node: &NodeId) -> bool {
    author.0[..AuthorId::LEN / 2] == node_half(node)
}

fn node_half(node: &NodeId) -> [u8; AuthorId::LEN / 2] {
    let mut half = [0; AuthorId::LEN / 2];
    half.copy_from_slice(&sha256(&[b"roda node v1", &node.0]).0[..AuthorId::LEN / 2]);
    half
}

/// The wire name of an epoch secret.
#[must_use]
pub fn epoch_tag(secret: &[u8; 32]) -> EpochTag {
    let hash = sha256(&[b"roda epoch v1", secret]);
    EpochTag(u32::from_be_bytes([
        hash.0[0], hash.0[1], hash.0[2], hash.0[3],
    ]))
}

/// The wire name of one run of an author.
#[must_use]
pub fn sender_tag(author: &AuthorId, boot: &[u8; 16]) -> SenderTag {
    let hash = sha256(&[b"roda sender v1", &author.0, boot]);
    let mut tag = [0; 8];
    tag.copy_from_slice(&hash.0[..8]);
    SenderTag(u64::from_be_bytes(tag))
}

/// An Ed25519 key pair.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The pair that belongs to a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(
            Ed25519KeyPair::from_seed_unchecked(seed)
                .expect("a seed of 32 bytes is always accepted"),
        )
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> NodeId {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        NodeId(key)
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let mut signature = [0; SIGNATURE_LEN];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }
}

/// Whether `signature` over `message` was made by `signer`.
#[must_use]
pub fn verify(signer: &NodeId, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, signer.0)
        .verify(message, signature)
        .is_ok()
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA256 (RFC 5869).
#[must_use]
pub fn derive(secret: &[u8; 32], label: &[u8], context: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"roda v1")
        .extract(secret)
        .expand(&[label, context], Len(32))
        .and_then(|okm| okm.fill(&mut *key))
        .expect("32 bytes are within HKDF's limit");
    key
}

/// An AES-256-GCM key for datagrams. The nonce is the packet number, so it must never repeat.
pub struct PacketKey(LessSafeKey);

impl PacketKey {
    /// The key of `sender` under an epoch secret for packet numbers `phase << 20 ..`.
    #[must_use]
    pub fn new(secret: &[u8; 32], sender: SenderTag, phase: u64) -> Self {
        let mut context = [0; 16];
        context[..8].copy_from_slice(&sender.0.to_be_bytes());
        context[8..].copy_from_slice(&phase.to_be_bytes());
        let key = derive(secret, b"datagram", &context);
        Self(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, &*key).expect("AES-256 keys have 32 bytes"),
        ))
    }

    fn nonce(number: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `buffer[header_len..]` in place, authenticates all of it and appends the tag.
    pub fn seal(&self, number: u64, header_len: usize, buffer: &mut Vec<u8>) {
        let (header, body) = buffer.split_at_mut(header_len);
        let tag = self
            .0
            .seal_in_place_separate_tag(Self::nonce(number), Aad::from(&*header), body)
            .expect("a datagram is far below AES-GCM's limit");
        buffer.extend_from_slice(tag.as_ref());
    }

    /// Decrypts `body` in place; `None` if it or `header` was changed.
    pub fn open<'a>(&self, number: u64, header: &[u8], body: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.0
            .open_in_place(Self::nonce(number), Aad::from(header), body)
            .ok()
    }
}

/// The X25519 key pair to which group keys are wrapped for a node.
pub struct WrapKey {
    secret: <HpkeKem as Kem>::PrivateKey,
    public: [u8; WRAP_KEY_LEN],
}

impl WrapKey {
    /// Derives the pair from a node's seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let material = derive(seed, b"wrap key", b"");
        let (secret, public) = HpkeKem::derive_keypair(&*material);
        let mut bytes = [0; WRAP_KEY_LEN];
        bytes.copy_from_slice(&public.to_bytes());
        Self {
            secret,
            public: bytes,
        }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &[u8; WRAP_KEY_LEN] {
        &self.public
    }

    /// Opens what [`wrap`] made for this key; `None` if it was made for another or changed.
    #[must_use]
    pub fn unwrap(&self, info: &[u8], wrapped: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let (encapsulated, sealed) = wrapped.split_at_checked(WRAP_KEY_LEN)?;
        let encapsulated = <HpkeKem as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let plain = hpke::single_shot_open::<HpkeAead, HpkeKdf, HpkeKem>(
            &OpModeR::Base,
            &self.secret,
            &encapsulated,
            info,
            sealed,
            b"",
        )
        .ok()?;
        Some(Zeroizing::new(
            Zeroizing::new(plain).as_slice().try_into().ok()?,
        ))
    }
}

/// Wraps `secret` for the owner of `public` (HPKE base mode, RFC 9180); `None` if `public` is no valid key.
pub fn wrap(
    public: &[u8; WRAP_KEY_LEN],
    info: &[u8],
    secret: &[u8; 32],
    rng: &mut impl CryptoRng,
) -> Option<Vec<u8>> {
    let public = <HpkeKem as Kem>::PublicKey::from_bytes(public).ok()?;
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<HpkeAead, HpkeKdf, HpkeKem>(
        &OpModeS::Base,
        &public,
        info,
        secret,
        b"",
        rng,
    )
    .ok()?;
    let mut wrapped = encapsulated.to_bytes().to_vec();
    wrapped.extend_from_slice(&sealed);
    Some(wrapped)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_for_its_owner() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (owner, other) = (WrapKey::from_seed(&[2; 32]), WrapKey::from_seed(&[3; 32]));
        let wrapped = wrap(owner.public(), b"info", &[4; 32], &mut rng).unwrap();
        assert_eq!(owner.unwrap(b"info", &wrapped).as_deref(), Some(&[4; 32]));
        assert_eq!(owner.unwrap(b"other", &wrapped), None);
        assert_eq!(other.unwrap(b"info", &wrapped), None);
        assert_eq!(owner.unwrap(b"info", &wrapped[..40]), None);
    }

    #[test]
    fn a_sealed_packet_opens_only_unchanged_and_under_its_number() {
        let key = PacketKey::new(&[7; 32], SenderTag(9), 0);
        let mut packet = b"headbody".to_vec();
        key.seal(5, 4, &mut packet);
        let (head, body) = packet.split_at(4);
        assert_eq!(
            key.open(5, head, &mut body.to_vec()).as_deref(),
            Some(&b"body"[..])
        );
        assert!(key.open(6, head, &mut body.to_vec()).is_none());
        assert!(key.open(5, b"HEAD", &mut body.to_vec()).is_none());
    }
}
