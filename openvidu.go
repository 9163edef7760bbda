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

// invalidRequestError reports a mistake in the client's request. Its text tells the client what to fix.
type invalidRequestError string

func (e invalidRequestError) Error() string { return string(e) }

// openviduError reports that a call to OpenVidu failed. Its text is safe to show to clients. An error may also wrap the
// cause, which only the log shows.
type openviduError string

func (e openviduError) Error() string { return string(e) }

var errSessionNotFound = errors.New("session not found: create it first with POST /api/sessions")

const (
	errCredentials openviduError = "OpenVidu rejected the credentials: check OPENVIDU_SECRET"
	errForbidden   openviduError = "OpenVidu denied access: check OPENVIDU_URL and OpenVidu's ALLOWED_ACCESS_TO_RESTAPI"
	errNoAPI       openviduError = "no OpenVidu API found: check the scheme, host, port and path in OPENVIDU_URL"
	errUnreachable openviduError = "cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
	errClosed      openviduError = "OpenVidu closed the connection: check that it is running and that OPENVIDU_URL is correct"
	errCertificate openviduError = "cannot verify OpenVidu's certificate: check the certificate and its CA " +
		"or, in development only, set OPENVIDU_TLS_SKIP_VERIFY=true"
	errHandshake openviduError = "TLS handshake with OpenVidu failed: check OPENVIDU_URL and OpenVidu's TLS settings"
	errTimeout   openviduError = "OpenVidu timed out: try again, or check OPENVIDU_URL"
)

// unexpected returns the error for a response that doesn't fit OpenVidu's API.
func unexpected(what string) openviduError {
	return openviduError("unexpected response from OpenVidu (" + what + "): check OPENVIDU_URL")
}

// openVidu is an OpenVidu client for the REST API, safe for concurrent use.
//
// The errors of its methods are, or wrap, an openviduError, an invalidRequestError, errSessionNotFound or, if ctx was
// cancelled, context.Canceled. Any other error is a bug.
type openVidu struct {
	api     string // base URL of the REST API, ending in /openvidu/api
	secret  string
	client  *http.Client
	timeout time.Duration // of a call, from connecting to the end of the response
}

// newOpenVidu returns an OpenVidu client for the server at base, a URL without user info, query, fragment or /openvidu/api.
// skipVerify disables certificate verification.
func newOpenVidu(base *url.URL, secret string, skipVerify bool) *openVidu {
	jar, _ := cookiejar.New(nil) // never fails
	return &openVidu{
		api:     base.JoinPath("openvidu/api").String(),
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
				IdleConnTimeout:        30 * time.Second, // before Tomcat closes them after 60 s, which would fail a POST
				DisableCompression:     true,
				MaxResponseHeaderBytes: 64 << 10,
			},
			// Redirects, which may turn a POST into a GET, are not followed: they mean that OPENVIDU_URL is wrong.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// checkProxyConnect returns an error if a proxy rejects CONNECT. The error has the type that the transport returns for an
// unreachable proxy.
func checkProxyConnect(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New(resp.Status)}
	}
	return nil
}

// createSession creates a session with the given properties (a JSON object) and returns its ID. OpenVidu responds 409
// if a session with the same customSessionId is already open; createSession then returns that ID.
func (ov *openVidu) createSession(ctx context.Context, properties []byte) (string, error) {
	customID, err := customSessionID(properties)
	if err != nil {
		return "", err
	}
	resp, err := ov.call(ctx, http.MethodPost, "/sessions", properties)
	switch {
	case err != nil:
		return "", err
	case resp.status == http.StatusConflict && customID != "":
		return customID, nil
	case resp.status != http.StatusOK:
		return "", resp.failure()
	case resp.ID == "":
		return "", unexpected("no session ID")
	}
	return resp.ID, nil
}

// customSessionID returns the customSessionId in properties, "" if it is missing or null.
func customSessionID(properties []byte) (string, error) {
	var values map[string]json.RawMessage // a struct's fields would match names case-insensitively, unlike OpenVidu
	if err := json.Unmarshal(properties, &values); err != nil {
		return "", err // a bug: properties is a JSON object
	}
	value, ok := values["customSessionId"]
	if !ok {
		return "", nil
	}
	var id string
	if err := json.Unmarshal(value, &id); err != nil {
		return "", invalidRequestError("customSessionId must be a string")
	}
	return id, nil
}

// createConnection creates a connection with the given properties (a JSON object) in a session and returns its token. The
// token of an IP camera is "": OpenVidu connects to the camera itself.
func (ov *openVidu) createConnection(ctx context.Context, sessionID string, properties []byte) (string, error) {
	// No session can have an ID that doesn't match. OpenVidu would respond 400, 401, 404 or 500, depending on its version.
	if !sessionIDPattern.MatchString(sessionID) || len(sessionID) > maxSessionID {
		return "", errSessionNotFound
	}
	resp, err := ov.call(ctx, http.MethodPost, "/sessions/"+sessionID+"/connection", properties)
	switch {
	case err != nil:
		return "", err
	// A 404 with a body means that OPENVIDU_URL has the wrong path.
	case resp.status == http.StatusNotFound && resp.empty:
		return "", errSessionNotFound
	case resp.status != http.StatusOK:
		return "", resp.failure()
	case resp.Token == "" && resp.Type != "IPCAM":
		return "", unexpected("no token")
	}
	return resp.Token, nil
}

// config returns OpenVidu's version and its public URL, which is the address in its tokens (with http for ws, https for wss).
// It is the cheapest call that checks OPENVIDU_URL, the certificate and the secret.
func (ov *openVidu) config(ctx context.Context) (version, publicURL string, err error) {
	resp, err := ov.call(ctx, http.MethodGet, "/config", nil)
	switch {
	case err != nil:
		return "", "", err
	case resp.status != http.StatusOK:
		return "", "", resp.failure()
	case resp.Version == "":
		return "", "", unexpected("no version")
	}
	return resp.Version, resp.PublicURL, nil
}

// response holds the parts of OpenVidu's responses that this server uses.
type response struct {
	status    int
	empty     bool   // whether the body of a 200, 400 or 404 is empty
	ID        string `json:"id"`
	Token     string `json:"token"`
	Type      string `json:"type"`
	Version   string `json:"VERSION"`
	PublicURL string `json:"OPENVIDU_PUBLICURL"`
	Message   string `json:"message"`
	Error     string `json:"error"`
}

// failure returns the error for a status that the caller doesn't expect.
func (r *response) failure() error {
	switch {
	// Every 400 of the API has an error field, and most have a message.
	case r.status == http.StatusBadRequest && r.Error != "":
		return invalidRequestError(strings.Join(strings.Fields(cmp.Or(r.Message, r.Error)), " "))
	// An HTTPS port responds like this to plain HTTP.
	case r.status == http.StatusBadRequest:
		return errNoAPI
	// OPENVIDU_URL has the wrong path.
	case r.status == http.StatusNotFound:
		return errNoAPI
	// OPENVIDU_URL redirects, usually to HTTPS.
	case r.status/100 == 3:
		return errNoAPI
	case r.status == http.StatusUnauthorized:
		return errCredentials
	// OpenVidu 2.32 responds 403 to the wrong path. OpenVidu's nginx responds 403 to an address that isn't allowed. A wrong
	// secret never causes a 403.
	case r.status == http.StatusForbidden:
		return errForbidden
	case r.status >= http.StatusInternalServerError:
		return openviduError(fmt.Sprintf("OpenVidu failed (status %d): check that it is running and see its log", r.status))
	default:
		return unexpected(fmt.Sprintf("status %d", r.status))
	}
}

// call sends a request to the API and returns the response, whatever its status. It returns an error if there is no
// complete response of at most maxResponse, or if a response with status 200 isn't JSON.
func (ov *openVidu) call(ctx context.Context, method, path string, body []byte) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, ov.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, ov.api+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth("OPENVIDUAPP", ov.secret)
	req.Header.Set("Content-Type", "application/json")
	httpResp, err := ov.client.Do(req)
	if err != nil {
		return nil, transportError(ctx, err)
	}
	defer httpResp.Body.Close()

	resp := &response{status: httpResp.StatusCode}
	switch resp.status {
	case http.StatusOK, http.StatusBadRequest, http.StatusNotFound:
	default: // the body says no more than the status
		return resp, nil
	}
	text, err := io.ReadAll(io.LimitReader(httpResp.Body, maxResponse+1))
	if err != nil {
		return nil, transportError(ctx, err)
	}
	if len(text) > maxResponse {
		return nil, unexpected("larger than 1 MiB")
	}
	resp.empty = len(text) == 0
	if err := json.Unmarshal(text, resp); err != nil && resp.status == http.StatusOK {
		return nil, fmt.Errorf("%w: %w", unexpected("not JSON"), err)
	}
	return resp, nil
}

// transportError classifies err, which ended a call with the given ctx before the whole response arrived.
func transportError(ctx context.Context, err error) error {
	switch ctx.Err() {
	case context.DeadlineExceeded:
		return errTimeout
	case context.Canceled:
		return fmt.Errorf("client disconnected: %w", context.Canceled)
	}
	op, isOp := errors.AsType[*net.OpError](err)
	netErr, isNetErr := errors.AsType[net.Error](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	var kind openviduError
	switch {
	// This case comes first because a TLS error may be the proxy's, not OpenVidu's.
	case isOp && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect"):
		kind = errUnreachable
	// The TLS handshake timed out, or TCP itself.
	case isNetErr && netErr.Timeout():
		kind = errUnreachable
	case isCertificate:
		kind = errCertificate
	case errors.Is(err, http.ErrSchemeMismatch):
		kind = errNoAPI
	// Most errors of crypto/tls have no exported type.
	case strings.Contains(err.Error(), ": tls: "):
		kind = errHandshake
	case isOp, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		kind = errClosed
	// net/http returns this unexported error if it notices between two requests that OpenVidu has closed a connection, even a
	// new one.
	case strings.HasSuffix(err.Error(), "http: server closed idle connection"):
		kind = errClosed
	// err is left out because it quotes the response, which may contain the session cookie.
	default:
		return unexpected("invalid HTTP")
	}
	return fmt.Errorf("%w: %w", kind, err)
}
