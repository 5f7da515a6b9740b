package tell

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	netsmtp "net/smtp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// mailService takes its address from shoutrrr and sends by itself. shoutrrr's
// own sending has a limit of time for the connection only, and its templates
// let the linker keep every method of every type: 9 MB of the binary.
type mailService struct{ c *smtp.Config }

// Initialize implements service, with shoutrrr's defaults.
func (s *mailService) Initialize(address *url.URL, _ types.StdLogger) error {
	s.c = &smtp.Config{Port: smtp.DefaultSMTPPort, UseStartTLS: true, Auth: smtp.AuthTypes.Unknown, Encryption: smtp.EncMethods.Auto, ClientHost: "localhost", Timeout: limit}
	if err := s.c.SetURL(address); err != nil {
		return err
	}
	s.c.FixEmailTags()
	if s.c.Auth == smtp.AuthTypes.Unknown {
		s.c.Auth = smtp.AuthTypes.None
		if s.c.Username != "" {
			s.c.Auth = smtp.AuthTypes.Plain
		}
	}
	return nil
}

// implicitTLS tells that TLS begins with the connection.
func (s *mailService) implicitTLS() bool {
	return s.c.Encryption == smtp.EncMethods.ImplicitTLS || s.c.Encryption == smtp.EncMethods.Auto && s.c.Port == smtp.ImplicitTLSPort
}

// Send implements service. Those that the server takes get the mail; the
// error names the others.
func (s *mailService) Send(message string, p *types.Params) error {
	client, err := s.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := s.secure(client); err != nil {
		return err
	}
	if err := client.Mail(s.c.FromAddress); err != nil {
		return err
	}
	var refused []error
	for _, to := range s.c.ToAddresses {
		if err := client.Rcpt(to); err != nil {
			refused = append(refused, err)
		}
	}
	if len(refused) == len(s.c.ToAddresses) {
		return errors.Join(refused...)
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	title, _ := p.Title()
	if _, err := w.Write([]byte(s.header(title) + message)); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // the server's word that it has it
		return err
	}
	_ = client.Quit()
	return errors.Join(refused...)
}

func (s *mailService) connect() (*netsmtp.Client, error) {
	addr := net.JoinHostPort(s.c.Host, strconv.Itoa(int(s.c.Port)))
	conn, err := (&net.Dialer{Timeout: limit}).Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if err = conn.SetDeadline(time.Now().Add(limit)); err == nil && s.implicitTLS() {
		conn = tls.Client(conn, s.tls())
	}
	var client *netsmtp.Client
	if err == nil {
		client, err = netsmtp.NewClient(conn, s.c.Host)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return client, nil
}

func (s *mailService) tls() *tls.Config {
	return &tls.Config{ServerName: s.c.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.c.SkipTLSVerify} // careful allows that for this machine only
}

// secure begins TLS where that is asked for and offered, and logs in.
func (s *mailService) secure(client *netsmtp.Client) error {
	host := s.c.ClientHost
	if host == "auto" {
		host = "localhost"
	}
	if err := client.Hello(host); err != nil {
		return err
	}
	offered, _ := client.Extension("STARTTLS")
	switch {
	case s.implicitTLS() || !s.c.UseStartTLS || !offered && !s.c.RequireStartTLS:
	case !offered:
		return errors.New("the server offers no STARTTLS, and the password is not sent without")
	default:
		if err := client.StartTLS(s.tls()); err != nil {
			return err
		}
	}
	var auth netsmtp.Auth
	switch s.c.Auth {
	case smtp.AuthTypes.Plain:
		auth = netsmtp.PlainAuth("", s.c.Username, s.c.Password, s.c.Host)
	case smtp.AuthTypes.CRAMMD5:
		auth = netsmtp.CRAMMD5Auth(s.c.Username, s.c.Password)
	case smtp.AuthTypes.OAuth2:
		auth = smtp.OAuth2Auth(s.c.Username, s.c.Password)
	default:
		return nil
	}
	return client.Auth(auth)
}

// header is the mail's, with the empty line after it. The addresses have
// passed the client, which takes none with a line break.
func (s *mailService) header(title string) string {
	from := mail.Address{Name: s.c.FromName, Address: s.c.FromAddress}
	_, domain, _ := strings.Cut(s.c.FromAddress, "@")
	lines := []string{
		"From: " + from.String(),
		"To: " + strings.Join(s.c.ToAddresses, ", "),
		"Subject: " + title,
		"Date: " + time.Now().Format(time.RFC1123Z),
		fmt.Sprintf("Message-ID: <%s@%s>", rand.Text(), domain),
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: 8bit",
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}
