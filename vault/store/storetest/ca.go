package storetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// CA is an authority that lives as long as a test, with one certificate for
// 127.0.0.1, ::1 and localhost.
type CA struct {
	Pool              *x509.CertPool  // what a client has to trust
	Server            tls.Certificate // what a server shows
	File              string          // the authority's certificate in PEM, for AWS_CA_BUNDLE and the like
	CertFile, KeyFile string          // Server in PEM, for a program's --cert and --key
}

// NewCA makes an authority.
func NewCA(t TB) *CA {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("making certificates: %v", err)
		}
	}
	dir := t.TempDir()
	now := time.Now()
	top := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pgvault test authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "*.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	topKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	topDER, err := x509.CreateCertificate(rand.Reader, top, top, topKey.Public(), topKey)
	must(err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, top, leafKey.Public(), topKey)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	must(err)

	ca := &CA{Pool: x509.NewCertPool(), File: filepath.Join(dir, "ca.pem"),
		CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	for file, b := range map[string]*pem.Block{
		ca.File:     {Type: "CERTIFICATE", Bytes: topDER},
		ca.CertFile: {Type: "CERTIFICATE", Bytes: leafDER},
		ca.KeyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		must(os.WriteFile(file, pem.EncodeToMemory(b), 0o600))
	}
	ca.Server, err = tls.LoadX509KeyPair(ca.CertFile, ca.KeyFile)
	must(err)
	parsed, err := x509.ParseCertificate(topDER)
	must(err)
	ca.Pool.AddCert(parsed)
	return ca
}
