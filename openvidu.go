package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

const (
	maxAnswer = 1 << 20 // bytes

	// Tomcat, which OpenVidu runs on, gets slower with more connections than it can work on.
	maxConnections = 128
)

// openviduError is what went wrong between this server and OpenVidu, in words
// that a client may read: what to do, and no secret, token, cookie or address.
// A cause, which may hold an address, is wrapped together with it.
type openviduError string

func (e openviduError) Error() string { return string(e) }

const (
	errNoSession   openviduError = "the session does not exist: make it first, with POST /api/sessions"
	errSecret      openviduError = "OpenVidu refuses this server: correct OPENVIDU_SECRET"
	errNoAPI       openviduError = "OpenVidu's API is not there: correct OPENVIDU_URL (http or https, host, port, without /openvidu/api)"
	errUnreachable openviduError = "OpenVidu can't be reached: start it, or correct OPENVIDU_URL"
	errCertificate openviduError = "OpenVidu's certificate is not trusted: set SSL_CERT_FILE to its authority's certificate or, while developing, OPENVIDU_TLS_SKIP_VERIFY to true"
	errTimeout     openviduError = "OpenVidu did not answer in time: try again"
)

// badAnswer is an answer that can't be used, and why.
func badAnswer(why string) openviduError {
	return openviduError("OpenVidu's answer can't be used, " + why + ": is it OpenVidu, and running, at OPENVIDU_URL?")
}

// propertyError is what is wrong with the properties that the client sent.
type propertyError string

func (e propertyError) Error() string { return string(e) }

// openVidu is a client of the REST API of OpenVidu 2. Its errors are an
// openviduError or a propertyError, maybe with a cause.
type openVidu struct {
	api     string // its URL, to which paths are added
	secret  string
	client  *http.Client
	timeout time.Duration // of a call, from its start to the end of the answer
}

// newOpenVidu returns a client of the OpenVidu at base, a URL without
// /openvidu/api. skipVerify makes it trust any certificate.
func newOpenVidu(base *url.URL, secret string, skipVerify bool) *openVidu {
	jar, _ := cookiejar.New(nil) // never fails
	api := url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path, RawPath: base.RawPath}
	return &openVidu{
		api:    api.JoinPath("openvidu/api").String(),
		secret: secret,
		client: &http.Client{
			// A redirect would turn POST into GET, and take the secret to another address.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			// OpenVidu's session cookie spares it the check of the secret, which costs it ten times as much as the call.
			Jar: jar,
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
				TLSHandshakeTimeout:    5 * time.Second,
				TLSClientConfig:        &tls.Config{InsecureSkipVerify: skipVerify},
				MaxConnsPerHost:        maxConnections,
				MaxIdleConnsPerHost:    maxConnections,
				IdleConnTimeout:        30 * time.Second, // OpenVidu closes them after 60
				DisableCompression:     true,
				MaxResponseHeaderBytes: 64 << 10,
			},
		},
		timeout: 20 * time.Second, // OpenVidu itself waits up to 15 for a session that is just closing
	}
}

// close gives up the connections that are idle.
func (ov *openVidu) close() { ov.client.CloseIdleConnections() }

// createSession makes a session with properties, a JSON object, and returns its
// id. A session that is open already is the same one: OpenVidu answers 409 to
// its customSessionId.
func (ov *openVidu) createSession(ctx context.Context, properties []byte) (string, error) {
	custom, err := customSessionID(properties)
	if err != nil {
		return "", err
	}
	answer, err := ov.call(ctx, http.MethodPost, "/sessions", properties)
	if err != nil {
		return "", err
	}
	if answer.status == http.StatusConflict && custom != "" {
		return custom, nil
	}
	if answer.status != http.StatusOK {
		return "", answer.err()
	}
	if answer.ID == "" {
		return "", badAnswer("it has no session id")
	}
	return answer.ID, nil
}

// customSessionID returns the customSessionId among properties, "" where it is
// missing or null. As for OpenVidu, the key's case matters and the last of
// several counts: so it is for a map, but not for a struct.
func customSessionID(properties []byte) (id string, err error) {
	var values map[string]json.RawMessage
	err = json.Unmarshal(properties, &values)
	if value, found := values["customSessionId"]; found {
		err = json.Unmarshal(value, &id)
	}
	if err != nil {
		return "", propertyError("customSessionId should be a string")
	}
	return id, nil
}

// createConnection makes a connection to a session with properties, a JSON
// object, and returns its token, which is "" for an IP camera: it needs none.
func (ov *openVidu) createConnection(ctx context.Context, sessionID string, properties []byte) (string, error) {
	if sessionID == "." || sessionID == ".." {
		return "", errNoSession // escaped or not, these lead to another path (RFC 3986, section 6.2.2)
	}
	answer, err := ov.call(ctx, http.MethodPost, "/sessions/"+url.PathEscape(sessionID)+"/connection", properties)
	if err != nil {
		return "", err
	}
	if answer.status == http.StatusNotFound {
		return "", errNoSession
	}
	if answer.status != http.StatusOK {
		return "", answer.err()
	}
	if answer.Token == "" && answer.Type != "IPCAM" {
		return "", badAnswer("it has no token")
	}
	return answer.Token, nil
}

// version returns OpenVidu's version. It is the cheapest call that proves URL,
// certificate and secret.
func (ov *openVidu) version(ctx context.Context) (string, error) {
	answer, err := ov.call(ctx, http.MethodGet, "/config", nil)
	if err != nil {
		return "", err
	}
	if answer.status == http.StatusBadRequest {
		return "", errNoAPI // what an https port answers to http
	}
	if answer.status != http.StatusOK {
		return "", answer.err()
	}
	if answer.Version == "" {
		return "", badAnswer("it has no version")
	}
	return answer.Version, nil
}

// answer is what is read of OpenVidu's answers: the status, and the fields of
// a session, a connection, the configuration or a 400.
type answer struct {
	status  int
	ID      string `json:"id"`
	Token   string `json:"token"`
	Type    string `json:"type"`
	Version string `json:"VERSION"`
	Message string `json:"message"`
	Error   string `json:"error"`
}

// err is what a status other than 200 means.
func (a answer) err() error {
	switch a.status {
	case http.StatusBadRequest:
		why := cmp.Or(a.Message, a.Error, "OpenVidu refuses the request without saying why; if it does so each time, try https in OPENVIDU_URL")
		return propertyError(strings.Join(strings.Fields(why), " "))
	case http.StatusUnauthorized, http.StatusForbidden:
		return errSecret
	case http.StatusNotFound, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return errNoAPI
	}
	return badAnswer(fmt.Sprintf("its status is %d", a.status))
}

// call sends a request to the API and reads the answer, the body only of a 200
// or 400.
func (ov *openVidu) call(ctx context.Context, method, path string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, ov.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, ov.api+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.SetBasicAuth("OPENVIDUAPP", ov.secret)
	req.Header.Set("Content-Type", "application/json")
	// Lets the transport repeat a POST on a connection that OpenVidu has just closed. Without a value it is not sent.
	req.Header["Idempotency-Key"] = nil
	resp, err := ov.client.Do(req)
	if err != nil {
		return answer{}, sendError(ctx, err)
	}
	defer resp.Body.Close()

	a := answer{status: resp.StatusCode}
	if a.status != http.StatusOK && a.status != http.StatusBadRequest {
		return a, nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, sendError(ctx, err)
	}
	if len(text) > maxAnswer {
		return answer{}, badAnswer("it is larger than 1 MiB")
	}
	if err := json.Unmarshal(text, &a); err != nil && a.status == http.StatusOK {
		return answer{}, fmt.Errorf("%w: %w", badAnswer("it is not the JSON of OpenVidu"), err)
	}
	return a, nil
}

// sendError is what it means that err came before the end of an answer.
func sendError(ctx context.Context, err error) error {
	var (
		certificate *tls.CertificateVerificationError
		netErr      net.Error
		op          *net.OpError
	)
	if ctx.Err() != nil {
		return errTimeout
	}
	if errors.As(err, &certificate) {
		return fmt.Errorf("%w: %w", errCertificate, err)
	}
	if errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &netErr) && netErr.Timeout() || errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if op != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", badAnswer("it is cut off"), err)
	}
	// Without err: it quotes what OpenVidu sent, which may be its cookie.
	return badAnswer("it is cut off or not HTTP")
}
