//! The node key in the forms that TLS wants, and the rule by which a peer's key is accepted.

use std::sync::Arc;

use roda_proto::NodeId;
use roda_proto::crypto::SigningKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureScheme,
};
use zeroize::Zeroizing;

/// Names the protocol inside TLS; a change of the stream's messages changes it.
pub(super) const ALPN: &[u8] = b"roda/1";

/// A node as it shows itself on streams. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TlsIdentity {
    node: NodeId,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// The identity whose node key has this seed.
    ///
    /// # Errors
    /// The cryptography library refuses the key; it accepts all seeds.
    pub(crate) fn new(seed: &[u8; 32]) -> Result<Self, Error> {
        let node = SigningKey::from_seed(seed).public();
        Self::showing(node, seed, &node)
    }

    /// Who this is.
    pub(crate) const fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Shows `shown`, but signs with the key of `seed`; only tests let them differ.
    pub(super) fn showing(node: NodeId, seed: &[u8; 32], shown: &NodeId) -> Result<Self, Error> {
        let public = SigningKey::from_seed(seed).public();
        let private = pkcs8(seed, &public);
        let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(private.as_slice()))?;
        let shown = CertificateDer::from(public_key_info(shown).to_vec());
        let certified = Arc::new(CertifiedKey::new(vec![shown], key));

        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(RawKeyVerifier::new(&provider));
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                Arc::clone(&certified),
            )));
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.enable_sni = false;
        // Every stream proves both keys anew: nothing is kept that outlives a removal.
        client.resumption = Resumption::disabled();

        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self {
            node,
            client: Arc::new(client),
            server: Arc::new(server),
        })
    }
}

/// The node that a raw public key stands for; `None` unless it is an Ed25519 key.
pub(super) fn node_of(public_key_info: &[u8]) -> Option<NodeId> {
    let key = public_key_info.strip_prefix(&PUBLIC_KEY_PREFIX)?;
    Some(NodeId(key.try_into().ok()?))
}

/// SubjectPublicKeyInfo (RFC 8410, section 4).
fn public_key_info(node: &NodeId) -> [u8; 44] {
    let mut info = [0; 44];
    let (prefix, key) = info.split_at_mut(PUBLIC_KEY_PREFIX.len());
    prefix.copy_from_slice(&PUBLIC_KEY_PREFIX);
    key.copy_from_slice(&node.0);
    info
}

/// OneAsymmetricKey with the public half (RFC 8410, section 7; RFC 5958).
fn pkcs8(seed: &[u8; 32], public: &NodeId) -> Zeroizing<Vec<u8>> {
    let parts = [
        PRIVATE_KEY_PREFIX.as_slice(),
        seed,
        &PRIVATE_KEY_PUBLIC_PREFIX,
        &public.0,
    ];
    Zeroizing::new(parts.concat())
}

/// Accepts every Ed25519 key whose owner signs the handshake. Who may do what is decided later, by
/// the node id: a joiner is a stranger to all members.
#[derive(Debug)]
struct RawKeyVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl RawKeyVerifier {
    fn new(provider: &CryptoProvider) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn check_key(end_entity: &[u8], others: &[CertificateDer<'_>]) -> Result<(), Error> {
        if others.is_empty() && node_of(end_entity).is_some() {
            Ok(())
        } else {
            Err(CertificateError::BadEncoding.into())
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }
}

impl ServerCertVerifier for RawKeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Self::check_key(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Self::check_key(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

const PUBLIC_KEY_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
const PRIVATE_KEY_PREFIX: [u8; 16] = [
    0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const PRIVATE_KEY_PUBLIC_PREFIX: [u8; 3] = [0x81, 0x21, 0x00];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_survives_its_encoding_and_nothing_else_is_accepted() {
        let node = SigningKey::from_seed(&[1; 32]).public();
        let info = public_key_info(&node);
        assert_eq!(node_of(&info), Some(node));
        assert_eq!(node_of(&info[..43]), None);
        assert_eq!(node_of(&[info.as_slice(), &[0]].concat()), None);
        let mut x25519 = info;
        x25519[8] = 0x6e;
        assert_eq!(node_of(&x25519), None);
    }

    #[test]
    fn the_tls_key_is_the_node_key() {
        let seed = [7; 32];
        let node = SigningKey::from_seed(&seed).public();
        let private = pkcs8(&seed, &node);
        let der = PrivatePkcs8KeyDer::from(private.as_slice());
        let key = ring::sign::any_eddsa_type(&der).unwrap();
        let public = key.public_key().unwrap();
        assert_eq!(node_of(public.as_ref()), Some(node));
        assert_eq!(TlsIdentity::new(&seed).unwrap().node(), node);
    }
}
