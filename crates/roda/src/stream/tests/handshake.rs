//! Whom the handshake lets in.

use std::sync::Arc;

use roda_proto::crypto::SigningKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{address, identity};
use crate::stream::identity::ALPN;
use crate::stream::{Listener, StreamError, TlsIdentity, connect};

#[tokio::test]
async fn each_end_knows_the_other_one() {
    let (caller, called) = super::pair().await;
    assert_eq!(caller.peer, identity(2).node());
    assert_eq!(called.peer, identity(1).node());
    assert!(called.address.ip().is_loopback() && called.address.is_ipv4());
}

#[tokio::test]
async fn ipv6_is_served_on_the_same_port() {
    let mut listener = Listener::bind(&identity(2)).unwrap();
    let address = (std::net::Ipv6Addr::LOCALHOST, listener.port().unwrap());
    if TcpStream::connect(address).await.is_ok() {
        let caller = identity(1);
        let calling = connect(&caller, address.into(), None);
        let (calling, accepted) = tokio::join!(calling, listener.accept());
        assert_eq!(calling.unwrap().peer, identity(2).node());
        assert!(accepted.address.is_ipv6());
    }
}

#[tokio::test]
async fn a_node_that_is_not_the_one_called_is_refused_by_the_caller() {
    let mut listener = Listener::bind(&identity(2)).unwrap();
    let (caller, expected) = (identity(1), identity(3).node());
    let calling = connect(&caller, address(&listener), Some(expected));
    let (calling, _accepted) = tokio::join!(calling, listener.accept());
    assert!(matches!(
        calling.err(),
        Some(StreamError::OtherNode { found, .. }) if found == identity(2).node()
    ));
}

#[tokio::test]
async fn a_key_that_is_shown_but_not_owned_is_refused_at_both_ends() {
    let victim = SigningKey::from_seed(&[1; 32]).public();
    let thief = TlsIdentity::showing(victim, &[9; 32], &victim).unwrap();

    let mut listener = Listener::bind(&identity(2)).unwrap();
    assert_refused(&mut listener, async |address| {
        // TLS 1.3 lets the caller go on before its proof has been checked.
        let mut stream = connect(&thief, address, None).await.unwrap();
        stream.recv_response().await.is_err()
    })
    .await;

    let mut stolen = Listener::bind(&thief).unwrap();
    assert_refused(&mut stolen, async |address| {
        connect(&identity(3), address, None).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_caller_without_a_key_or_with_a_certificate_is_refused() {
    let raw = identity(1);
    let mut anonymous = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey { raw: true }))
        .with_no_client_auth();
    anonymous.alpn_protocols = vec![ALPN.to_vec()];
    let mut certified = ClientConfig::clone(&raw.client());
    certified.client_auth_cert_resolver = Arc::new(X509::new());
    let mut trusting = ClientConfig::clone(&raw.client());
    trusting
        .dangerous()
        .set_certificate_verifier(Arc::new(AnyKey { raw: false }));

    for config in [anonymous, certified, trusting] {
        assert_not_let_in(config).await;
    }
    // The way of calling itself works.
    let mut listener = Listener::bind(&identity(2)).unwrap();
    let calling = hear_nothing(raw.client(), address(&listener));
    tokio::select! {
        accepted = listener.accept() => assert_eq!(accepted.peer, raw.node()),
        _heard = calling => panic!("closed"),
    }
}

#[tokio::test]
async fn a_caller_that_names_another_protocol_or_none_is_refused() {
    for protocols in [vec![], vec![b"roda/0".to_vec()]] {
        let mut config = ClientConfig::clone(&identity(1).client());
        config.alpn_protocols = protocols;
        assert_not_let_in(config).await;
    }
}

#[tokio::test]
async fn a_caller_that_speaks_only_tls_1_2_is_refused() {
    let mut listener = Listener::bind(&identity(2)).unwrap();
    assert_refused(&mut listener, async |address| {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(&client_hello_of_tls_1_2()).await.unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.unwrap();
        // RFC 8446, section 6: a fatal alert, protocol_version.
        answer.first() == Some(&0x15) && answer.ends_with(&[2, 70])
    })
    .await;
}

/// Runs `calling` until it tells whether it was refused; meanwhile nobody may get in.
async fn assert_refused(
    listener: &mut Listener,
    calling: impl AsyncFnOnce(std::net::SocketAddr) -> bool,
) {
    let address = address(listener);
    tokio::select! {
        stream = listener.accept() => panic!("{:?} got in", stream.peer),
        refused = calling(address) => assert!(refused),
    }
}

async fn assert_not_let_in(config: ClientConfig) {
    let config = Arc::new(config);
    let mut listener = Listener::bind(&identity(2)).unwrap();
    assert_refused(&mut listener, async |address| {
        hear_nothing(config, address).await
    })
    .await;
}

/// Calls and listens until the far end closes; tells whether it did so without a word.
async fn hear_nothing(config: Arc<ClientConfig>, address: std::net::SocketAddr) -> bool {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::IpAddress(address.ip().into());
    let Ok(mut tls) = TlsConnector::from(config).connect(name, tcp).await else {
        return true;
    };
    let mut heard = Vec::new();
    let _closed = tls.read_to_end(&mut heard).await;
    heard.is_empty()
}

/// A record with a ClientHello of TLS 1.2: one suite, signatures by Ed25519.
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let mut hello = vec![0x03, 0x03];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0x00, 0x02, 0xc0, 0x2f]);
    hello.extend([0x01, 0x00]);
    let signature_algorithms = [0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x08, 0x07];
    hello.extend([0x00, 0x08]);
    hello.extend(signature_algorithms);
    let len = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x01, 0x00, len + 4, 0x01, 0x00, 0x00, len];
    record.extend(hello);
    record
}

/// Trusts everybody.
#[derive(Debug)]
struct AnyKey {
    raw: bool,
}

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw
    }
}

/// Shows something as an X.509 certificate; what it is does not matter, for it is not asked for.
#[derive(Debug)]
struct X509(Arc<CertifiedKey>);

impl X509 {
    fn new() -> Self {
        let pair =
            ::ring::signature::Ed25519KeyPair::generate_pkcs8(&::ring::rand::SystemRandom::new());
        let private = pair.unwrap();
        let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(private.as_ref()));
        let certificate = CertificateDer::from(vec![0x30, 0x00]);
        Self(Arc::new(CertifiedKey::new(vec![certificate], key.unwrap())))
    }
}

impl ResolvesClientCert for X509 {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
