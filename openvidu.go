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
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	maxResponse    = 1 << 20 // bytes of a response from OpenVidu
	maxConnections = 128     // to OpenVidu, whose Tomcat slows down with more connections than it can serve
	maxSessionID   = 7 << 10 // bytes of a session ID; Tomcat rejects a request with more than 8 KiB of path and headers
)

// sessionIDPattern matches the IDs that a session can have, in every version of OpenVidu.
var sessionIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

type (
	// invalidRequestError reports a mistake in the client's request. Its text shows the client what to fix.
	invalidRequestError string

	// notFoundError reports that a session isn't open.
	notFoundError string

	// openviduError reports a failure to use OpenVidu. Its text is safe to show to clients; the wrapped cause is only logged.
	openviduError string
)

func (e invalidRequestError) Error() string { return string(e) }
func (e notFoundError) Error() string       { return string(e) }
func (e openviduError) Error() string       { return string(e) }

const (
	errSessionNotFound notFoundError = "session not found: create it first with POST /api/sessions"
	errCredentials     openviduError = "OpenVidu rejected the credentials: check OPENVIDU_SECRET"
	errForbidden       openviduError = "OpenVidu denied access: check OPENVIDU_URL and OpenVidu's ALLOWED_ACCESS_TO_RESTAPI"
	errNoAPI           openviduError = "no OpenVidu API found: check OPENVIDU_URL (http or https, host, port, without /openvidu/api)"
	errUnreachable     openviduError = "cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
	errClosed          openviduError = "OpenVidu closed the connection: check that it is running and that OPENVIDU_URL is correct"
	errCertificate     openviduError = "cannot verify OpenVidu's certificate: check the certificate and its CA or, in development only, set OPENVIDU_TLS_SKIP_VERIFY=true"
	errHandshake       openviduError = "TLS handshake with OpenVidu failed: check OPENVIDU_URL and OpenVidu's TLS settings"
	errTimeout         openviduError = "OpenVidu timed out: try again"
)

// unexpected returns the error for a response that doesn't fit OpenVidu's API.
func unexpected(what string) openviduError {
	return openviduError("unexpected response from OpenVidu (" + what + "): check OPENVIDU_URL")
}

// openVidu is a client of OpenVidu's REST API, safe for concurrent use. The errors of its methods are, or wrap, one of the
// three kinds above; any other error is a bug.
type openVidu struct {
	api     string // base URL of the REST API, ending in /openvidu/api
	secret  string
	client  *http.Client
	timeout time.Duration // of a call, from connecting to the end of the response
}

// newOpenVidu returns a client of the OpenVidu server at the URL base, which doesn't include /openvidu/api. skipVerify disables
// certificate verification.
func newOpenVidu(base *url.URL, secret string, skipVerify bool) *openVidu {
	jar, _ := cookiejar.New(nil) // never fails
	return &openVidu{
		// User info, query and fragment of base are left out.
		api:     (&url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path, RawPath: base.RawPath}).JoinPath("openvidu/api").String(),
		secret:  secret,
		timeout: 20 * time.Second, // OpenVidu takes up to 15 s if a session with the same ID is still closing
		client: &http.Client{
			Jar: jar, // up to 2.31, the session cookie spares OpenVidu a 70 ms check of the secret
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				OnProxyConnectResponse: checkProxyConnect,
				DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
				TLSHandshakeTimeout:    5 * time.Second,
				TLSClientConfig:        &tls.Config{InsecureSkipVerify: skipVerify},
				MaxConnsPerHost:        maxConnections,
				MaxIdleConnsPerHost:    maxConnections,
				IdleConnTimeout:        30 * time.Second, // OpenVidu closes them after 60 s
				DisableCompression:     true,
				MaxResponseHeaderBytes: 64 << 10,
			},
			// Redirects, which may turn a POST into a GET, are not followed: they mean that OPENVIDU_URL is incorrect.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// checkProxyConnect returns an error if a proxy rejects CONNECT. It has the type that the transport returns for an unreachable one.
func checkProxyConnect(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New(resp.Status)}
	}
	return nil
}

// createSession creates a session with properties, a JSON object, and returns its ID. If a session with that customSessionId is
// already open, OpenVidu responds 409 and its ID is returned.
func (ov *openVidu) createSession(ctx context.Context, properties []byte) (string, error) {
	customID, err := customSessionID(properties)
	if err != nil {
		return "", err
	}
	resp, err := ov.call(ctx, http.MethodPost, "/sessions", properties)
	if resp.status == http.StatusConflict && customID != "" {
		return customID, nil
	}
	if err == nil && resp.ID == "" {
		err = unexpected("no session ID")
	}
	return resp.ID, err
}

// customSessionID returns the customSessionId in properties, "" if it is missing or null. It decodes into a map because
// struct fields match case-insensitively.
func customSessionID(properties []byte) (id string, err error) {
	var values map[string]json.RawMessage
	err = json.Unmarshal(properties, &values)
	if value, ok := values["customSessionId"]; ok {
		err = json.Unmarshal(value, &id)
	}
	if err != nil {
		return "", invalidRequestError("customSessionId must be a string")
	}
	return id, nil
}

// createConnection creates a connection with properties, a JSON object, in a session and returns its token. The token of an IP
// camera is "": it needs none.
func (ov *openVidu) createConnection(ctx context.Context, sessionID string, properties []byte) (string, error) {
	// No session can have an ID like this. OpenVidu would respond 400, 401, 404 or 500, depending on its version.
	if !sessionIDPattern.MatchString(sessionID) || len(sessionID) > maxSessionID {
		return "", errSessionNotFound
	}
	resp, err := ov.call(ctx, http.MethodPost, "/sessions/"+sessionID+"/connection", properties)
	if resp.status == http.StatusNotFound && resp.empty { // a 404 with a body means that the path in OPENVIDU_URL is invalid
		return "", errSessionNotFound
	}
	if err == nil && resp.Token == "" && resp.Type != "IPCAM" {
		err = unexpected("no token")
	}
	return resp.Token, err
}

// version returns OpenVidu's version. It is the cheapest call that checks the URL, the certificate and the secret.
func (ov *openVidu) version(ctx context.Context) (string, error) {
	resp, err := ov.call(ctx, http.MethodGet, "/config", nil)
	if err == nil && resp.Version == "" {
		err = unexpected("no version")
	}
	return resp.Version, err
}

// response holds the fields used from OpenVidu's responses.
type response struct {
	status  int
	empty   bool
	ID      string `json:"id"`
	Token   string `json:"token"`
	Type    string `json:"type"`
	Version string `json:"VERSION"`
	Message string `json:"message"`
	Error   string `json:"error"`
}

// failure returns the error for a status other than 200.
func (r response) failure() error {
	if r.status == http.StatusOK {
		return nil
	}
	if r.status == http.StatusBadRequest && r.Error != "" { // as in every 400 of the API
		return invalidRequestError(strings.Join(strings.Fields(cmp.Or(r.Message, r.Error)), " "))
	}
	if r.status == http.StatusBadRequest || r.status == http.StatusNotFound || r.status/100 == 3 {
		return errNoAPI // plain HTTP sent to an HTTPS port, an invalid path, a redirect to HTTPS
	}
	if r.status == http.StatusUnauthorized {
		return errCredentials
	}
	if r.status == http.StatusForbidden { // never because of the secret
		return errForbidden
	}
	if r.status >= http.StatusInternalServerError {
		return openviduError(fmt.Sprintf("OpenVidu failed (status %d): check that it is running and see its log", r.status))
	}
	return unexpected(fmt.Sprintf("status %d", r.status))
}

// call sends a request to the API. It returns an error if the transport fails, the response is unusable or the status isn't 200;
// for another status, it returns the response too.
func (ov *openVidu) call(ctx context.Context, method, path string, body []byte) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, ov.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, ov.api+path, bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.SetBasicAuth("OPENVIDUAPP", ov.secret)
	req.Header.Set("Content-Type", "application/json")
	// A nil Idempotency-Key isn't sent, but lets the transport retry a POST if OpenVidu has just closed the connection.
	req.Header["Idempotency-Key"] = nil
	resp, err := ov.client.Do(req)
	if err != nil {
		return response{}, transportError(ctx, err)
	}
	defer resp.Body.Close()
	r := response{status: resp.StatusCode}
	if r.status != http.StatusOK && r.status != http.StatusBadRequest && r.status != http.StatusNotFound {
		return r, r.failure() // the body says no more than the status
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return response{}, transportError(ctx, err)
	}
	if len(text) > maxResponse {
		return response{}, unexpected("larger than 1 MiB")
	}
	r.empty = len(text) == 0
	if err := json.Unmarshal(text, &r); err != nil && r.status == http.StatusOK {
		return response{}, fmt.Errorf("%w: %w", unexpected("not JSON"), err)
	}
	return r, r.failure()
}

// transportError classifies err, which ended a call early. It can't distinguish a timeout from a client's disconnection; fail can.
func transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errTimeout
	}
	var (
		kind        openviduError
		certificate *tls.CertificateVerificationError
		netErr      net.Error
		op          *net.OpError
	)
	connecting := errors.As(err, &op) && slices.Contains([]string{"dial", "proxyconnect", "socks connect"}, op.Op)
	switch {
	case connecting, errors.As(err, &netErr) && netErr.Timeout(): // first, because a proxy may also have TLS problems
		kind = errUnreachable
	case errors.As(err, &certificate):
		kind = errCertificate
	case errors.Is(err, http.ErrSchemeMismatch):
		kind = errNoAPI
	case strings.Contains(err.Error(), ": tls: "): // most errors of crypto/tls have no exported type
		kind = errHandshake
	case op != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		kind = errClosed
	default: // err quotes the response, which may contain the session cookie
		return unexpected("invalid HTTP")
	}
	return fmt.Errorf("%w: %w", kind, err)
}
