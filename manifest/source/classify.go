package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
)

// classify finds the class of a failed request.
func classify(err error) string {
	var (
		dns       *net.DNSError
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		verify    *tls.CertificateVerificationError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &dns):
		return ReasonDNS
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ReasonTLSTime // it is also the reason for "not yet valid"
	case errors.As(err, &invalid), errors.As(err, &authority), errors.As(err, &hostname),
		errors.As(err, &verify), errors.As(err, &alert), errors.As(err, &record),
		isTLSText(err):
		return ReasonTLS
	case errors.As(err, &timeout) && timeout.Timeout():
		return ReasonTimeout
	default:
		return ReasonNetwork
	}
}

// isTLSText finds the errors of crypto/tls and net/http that have no type: an
// alert that the peer sent, a handshake that makes no sense, plain HTTP where
// TLS was expected.
func isTLSText(err error) bool {
	text := err.Error()
	return strings.Contains(text, "tls: ") || strings.Contains(text, "HTTP response to HTTPS client")
}
