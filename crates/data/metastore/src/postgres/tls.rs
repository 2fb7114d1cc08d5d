//! TLS to a PostgreSQL server: none, encryption alone, or encryption with a checked certificate.

use crate::{Kind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How a connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all.
    Off,
    /// Nobody can listen, but whoever answers is believed to be the server.
    Unchecked,
    /// The certificate must be the host's, by an authority of this file or of the system.
    Checked(Option<PathBuf>),
}

impl Tls {
    /// What the client connects with.
    ///
    /// # Errors
    /// `Unavailable` when the certificates to check against cannot be read.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| Kind::Bug.because("choose TLS versions", source))?;
        let config = match self {
            Self::Off | Self::Unchecked => {
                config.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked { provider }))
            }
            Self::Checked(file) => config.with_root_certificates(roots(file.as_deref())?),
        };
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = "this system has no certificate authorities: install ca-certificates, or name a file with \
                       sslrootcert=FILE in the metastore URL";
            return Err(Kind::Unavailable.error(why));
        }
        return Ok(roots);
    };
    let context = || format!("the file of sslrootcert, {}, cannot be used", path.display());
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|source| Kind::Unavailable.because(context(), source))?;
    for certificate in certificates {
        roots.add(certificate).map_err(|source| Kind::Unavailable.because(context(), source))?;
    }
    if roots.is_empty() {
        return Err(Kind::Unavailable.error(format!("{}: it holds no certificate", context())));
    }
    Ok(roots)
}

/// Believes every certificate, as `sslmode=require` does in PostgreSQL's own programs.
#[derive(Debug)]
struct Unchecked {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
