package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// pki DIR SERVER SPEC...: one CA plus one key/cert per SPEC "file|CN|org|san,san", and a
// kubeconfig for every SPEC against SERVER. Also the service-account key pair.
func pkiMain() {
	dir, server := os.Args[1], os.Args[2]
	os.MkdirAll(dir, 0o755)
	newKey := func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
	write := func(name, typ string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b}), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	serial := int64(time.Now().UnixNano())
	tmpl := func(cn string) *x509.Certificate {
		serial++
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: cn},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(720 * time.Hour), BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}
	}
	caKey, ca := newKey(), tmpl("larder-ca")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	caDER := must(x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey))
	write("ca.crt", "CERTIFICATE", caDER)
	write("ca.key", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(caKey)))
	sa := newKey()
	write("sa.key", "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(sa)))
	write("sa.pub", "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&sa.PublicKey)))
	for _, spec := range os.Args[3:] {
		f := strings.Split(spec, "|")
		k, t := newKey(), tmpl(f[1])
		if f[2] != "" {
			t.Subject.Organization = []string{f[2]}
		}
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		for _, s := range strings.Split(f[3], ",") {
			if ip := net.ParseIP(s); ip != nil {
				t.IPAddresses = append(t.IPAddresses, ip)
			} else if s != "" {
				t.DNSNames = append(t.DNSNames, s)
			}
		}
		write(f[0]+".crt", "CERTIFICATE", must(x509.CreateCertificate(rand.Reader, t, ca, &k.PublicKey, caKey)))
		write(f[0]+".key", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k)))
		p := func(s string) string { return filepath.Join(dir, s) }
		kc := "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"" + server + "\", certificate-authority: " + p("ca.crt") +
			"}}]\nusers: [{name: u, user: {client-certificate: " + p(f[0]+".crt") + ", client-key: " + p(f[0]+".key") + "}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
		if err := os.WriteFile(p(f[0]+".kubeconfig"), []byte(kc), 0o600); err != nil {
			log.Fatal(err)
		}
	}
}
