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
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxWait limits how long a request waits for OpenVidu. OpenVidu takes up to 15 s if a session with the same ID is
	// still closing (initializeSession in SessionRestController.java, v2.31.0). The rest is for waiting for a turn (see
	// maxRequests).
	maxWait = 30 * time.Second

	// maxRequests limits the TCP connections to OpenVidu, and so the requests to it at the same time. The others wait
	// for their turn, first come, first served. 32 are enough to keep OpenVidu busy. With more, each request takes
	// longer, and the number of tokens per second stays the same.
	maxRequests = 32

	connectTimeout = 5 * time.Second // for a connection to OpenVidu, and again for its TLS handshake

	// maxIdle limits how long a connection is kept for reuse. It is less than Tomcat's 60 s (keepAliveTimeout): a POST
	// can fail on a connection that Tomcat is closing.
	maxIdle = 30 * time.Second

	maxResponse = 1 << 20 // bytes of a response's body

	// maxSessionID limits the length of a session ID. It is far below the 8 KiB that Tomcat allows for path and
	// headers (maxHttpHeaderSize). errCustomSessionID states the number, too.
	maxSessionID = 1000
)

// httpError is a failure as a client sees it: the status and the text of the response. An error that wraps it adds
// the cause, which only the log shows.
type httpError struct {
	status int
	text   string
}

func (e httpError) Error() string { return e.text }

// These are the failures of sessions, connections and OpenVidu. A 400 from OpenVidu has OpenVidu's reason instead (see
// statusError).
var (
	errNotUTF8         = httpError{http.StatusBadRequest, "request body must be UTF-8"}
	errNotJSONObject   = httpError{http.StatusBadRequest, "request body must be a JSON object"}
	errCustomSessionID = httpError{http.StatusBadRequest,
		"customSessionId must be a string of at most 1,000 characters: A-Z, a-z, 0-9, _ and -"}
	errSessionNotFound = httpError{http.StatusNotFound, "session not found: create it first with POST /api/sessions"}

	// 499 is nginx's status for a client that closed the connection. net/http takes a half-closed connection for a
	// closed one, so a client that closed only its sending side can see this response.
	errDisconnected = httpError{499, "client disconnected"}

	errInternal = httpError{http.StatusInternalServerError, "internal server error: see this server's log"}

	errCredentials = httpError{http.StatusBadGateway, "OpenVidu rejected the credentials: check OPENVIDU_SECRET"}
	errForbidden   = httpError{http.StatusBadGateway,
		"OpenVidu denied access: check OPENVIDU_URL, OpenVidu's log, and ALLOWED_ACCESS_TO_RESTAPI"}
	errNoAPI = httpError{http.StatusBadGateway,
		"no OpenVidu API found: check the scheme, host, port and path in OPENVIDU_URL"}
	errUnreachable = httpError{http.StatusBadGateway,
		"cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"}
	errCertificate = httpError{http.StatusBadGateway,
		"cannot verify OpenVidu's certificate: check the host in OPENVIDU_URL, the certificate and its CA"}
	errFailed     = httpError{http.StatusBadGateway, "OpenVidu failed: check that it is running and see its log"}
	errUnexpected = httpError{http.StatusBadGateway, "unexpected response from OpenVidu: check OPENVIDU_URL"}
	errTimeout    = httpError{http.StatusGatewayTimeout, "OpenVidu timed out: try again, or check OPENVIDU_URL"}
)

// openVidu is a client for OpenVidu's REST API, safe for concurrent use. Every error of its methods wraps an
// httpError.
type openVidu struct {
	apiURL string // base URL of the REST API, ending in /openvidu/api
	secret string
	client *http.Client
	calls  sync.Map // from properties to the *sharedCall in flight
}

// newOpenVidu returns a client for the OpenVidu at base, a URL without user information, query, fragment or
// /openvidu/api. skipVerify disables certificate verification.
func newOpenVidu(base *url.URL, secret string, skipVerify bool) *openVidu {
	jar, _ := cookiejar.New(nil) // never fails
	return &openVidu{
		apiURL: base.JoinPath("openvidu/api").String(),
		secret: secret,
		client: &http.Client{
			// Thanks to the cookie OVJSESSIONID, OpenVidu up to 2.31 doesn't verify the secret for each request.
			// Verifying takes about 70 ms, because Spring Security keeps a bcrypt hash of the secret from the first
			// login on (upgradeEncoding in DaoAuthenticationProvider.java). 2.32 verifies it every time.
			Jar: jar,
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
				TLSHandshakeTimeout: connectTimeout,
				TLSClientConfig:     &tls.Config{InsecureSkipVerify: skipVerify},
				// A Transport with a DialContext doesn't use HTTP/2, so each request in flight has its own connection.
				MaxConnsPerHost:        maxRequests,
				MaxIdleConnsPerHost:    maxRequests,
				IdleConnTimeout:        maxIdle,
				MaxResponseHeaderBytes: 64 << 10, // the default is 10 MiB
			},
			// Redirects, which may turn a POST into a GET, are not followed: they mean that OPENVIDU_URL is wrong.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// createSession creates a session with the given properties (a JSON object) and returns its ID. If a session with the
// same customSessionId is already open, createSession returns that ID. Concurrent requests with a customSessionId and
// the same properties, byte for byte, share one request to OpenVidu.
func (ov *openVidu) createSession(ctx context.Context, properties []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	members, err := parseProperties(properties)
	if err != nil {
		return "", err
	}
	customID, err := customSessionID(members)
	if err != nil {
		return "", err
	}
	if customID == "" { // a new session for each request
		return ov.postSession(ctx, properties, "")
	}
	return ov.shareSession(ctx, string(properties), customID)
}

// sharedCall is a call to postSession whose result other requests wait for.
type sharedCall struct {
	done chan struct{} // closed when the call has ended, with id or err set
	id   string
	err  error
}

// shareSession calls postSession or, if a call with the same properties is in flight, waits for its result. The request
// that came first makes the call, with its own context. If this context ends, because of a disconnect or a timeout, one
// of those that wait makes the call again. The same customID is not enough to share a call: OpenVidu may reject other
// properties.
//
// When n people join a session at the same moment, OpenVidu gets about n+1 requests (one session, n connections)
// instead of 2n. On 2.32, which verifies the secret for every request, the last of 100 people waits 3.6 s instead of
// 7.1 s (on two cores).
func (ov *openVidu) shareSession(ctx context.Context, properties, customID string) (string, error) {
	// This call is stored unless another one is in flight. If postSession panics, err stays errInternal.
	call := &sharedCall{done: make(chan struct{}), err: errInternal}
	for {
		inFlight, loaded := ov.calls.LoadOrStore(properties, call)
		if !loaded {
			break
		}
		other := inFlight.(*sharedCall)
		select {
		case <-other.done:
		case <-ctx.Done():
			return "", contextError(ctx)
		}
		// With these two, the other request's context has ended (contextError), which says nothing about ctx.
		if !errors.Is(other.err, errDisconnected) && !errors.Is(other.err, errTimeout) {
			return other.id, other.err
		}
	}
	defer func() {
		ov.calls.Delete(properties) // first, so that nobody finds a call that has ended
		close(call.done)
	}()
	call.id, call.err = ov.postSession(ctx, []byte(properties), customID)
	return call.id, call.err
}

// postSession creates a session with one request to OpenVidu and returns the session's ID. If customID isn't "",
// a 409 means that its session is already open.
func (ov *openVidu) postSession(ctx context.Context, properties []byte, customID string) (string, error) {
	resp, err := ov.send(ctx, http.MethodPost, "/sessions", properties)
	if err != nil {
		return "", err
	}
	if resp.status == http.StatusConflict && customID != "" {
		return customID, nil
	}
	var session struct {
		ID string `json:"id"`
	}
	if err := resp.decodeOK(&session); err != nil {
		return "", err
	}
	if session.ID == "" {
		return "", fmt.Errorf("%w: no session ID", errUnexpected)
	}
	return session.ID, nil
}

// parseProperties returns the members of properties, which must be a JSON object in UTF-8 (RFC 8259, section 8.1). If a
// name occurs twice, the last one counts, as in OpenVidu.
func parseProperties(properties []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(properties) {
		return nil, errNotUTF8
	}
	var members map[string]json.RawMessage // a struct's fields would match names case-insensitively, unlike OpenVidu
	if err := json.Unmarshal(properties, &members); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotJSONObject, err)
	}
	if members == nil { // properties is null
		return nil, errNotJSONObject
	}
	return members, nil
}

// customSessionID returns the customSessionId in the members of a session's properties, or "" if it is missing, null or
// empty.
func customSessionID(members map[string]json.RawMessage) (string, error) {
	value, ok := members["customSessionId"]
	if !ok {
		return "", nil
	}
	var id string
	if err := json.Unmarshal(value, &id); err != nil || id != "" && !isSessionID(id) {
		return "", errCustomSessionID
	}
	return id, nil
}

// sessionIDPattern matches the session IDs that every version of OpenVidu accepts.
var sessionIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// isSessionID reports whether this server accepts id as a session's ID. Given an ID with other characters, OpenVidu
// responds 400, 401, 404 or 500, depending on its version.
func isSessionID(id string) bool { return len(id) <= maxSessionID && sessionIDPattern.MatchString(id) }

// createConnection creates a connection with the given properties (a JSON object) in a session and returns its token.
// IP cameras have no token, so it returns "" for them.
func (ov *openVidu) createConnection(ctx context.Context, sessionID string, properties []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	if !isSessionID(sessionID) {
		return "", errSessionNotFound
	}
	// This is only a check: to invalid JSON or an array, OpenVidu 2.32 responds 403, as to a wrong path.
	if _, err := parseProperties(properties); err != nil {
		return "", err
	}
	resp, err := ov.send(ctx, http.MethodPost, "/sessions/"+sessionID+"/connection", properties)
	if err != nil {
		return "", err
	}
	// If the session isn't open, OpenVidu's 404 has no body. While the session is closing, the 404 has the reason
	// below (newWebrtcConnection in SessionRestController.java). Any other 404 means that OPENVIDU_URL has the wrong path.
	closing := "Session " + sessionID + " not found"
	if resp.status == http.StatusNotFound && (len(resp.body) == 0 || resp.reason() == closing) {
		return "", errSessionNotFound
	}
	var connection struct {
		Token string `json:"token"`
		Type  string `json:"type"`
	}
	if err := resp.decodeOK(&connection); err != nil {
		return "", err
	}
	if connection.Token == "" && connection.Type != "IPCAM" {
		return "", fmt.Errorf("%w: no token", errUnexpected)
	}
	return connection.Token, nil
}

// check makes the cheapest request that checks OPENVIDU_URL, the certificate and the secret. It returns OpenVidu's
// version and its public URL, the address in the tokens.
func (ov *openVidu) check(ctx context.Context) (version, publicURL string, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	resp, err := ov.send(ctx, http.MethodGet, "/config", nil)
	if err != nil {
		return "", "", err
	}
	var info struct {
		Version   string `json:"VERSION"`
		PublicURL string `json:"OPENVIDU_PUBLICURL"`
	}
	if err := resp.decodeOK(&info); err != nil {
		return "", "", err
	}
	if info.Version == "" {
		return "", "", fmt.Errorf("%w: no version", errUnexpected)
	}
	return info.Version, info.PublicURL, nil
}

// response is OpenVidu's response to a request: its status and its body, which send has read.
type response struct {
	status int
	body   []byte
}

// send sends a request to the API and returns the response, whatever its status. It returns an error if the response is
// missing, incomplete or larger than maxResponse.
//
// After any error but a client's disconnect, send closes the idle connections, which may be dead, too: OpenVidu's host
// may have lost power, or a firewall may have forgotten them. Otherwise, each would make one more request fail.
func (ov *openVidu) send(ctx context.Context, method, path string, body []byte) (*response, error) {
	req, err := http.NewRequestWithContext(ctx, method, ov.apiURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInternal, err)
	}
	req.SetBasicAuth("OPENVIDUAPP", ov.secret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := ov.roundTrip(req)
	if err != nil {
		if !errors.Is(err, errDisconnected) {
			ov.client.CloseIdleConnections()
		}
		return nil, err
	}
	return resp, nil
}

// roundTrip sends a request and reads the whole response. Neither it nor net/http repeats a POST that OpenVidu may have
// received: that could add an IP camera twice.
func (ov *openVidu) roundTrip(req *http.Request) (*response, error) {
	ctx := req.Context()
	resp, err := ov.client.Do(req)
	if err != nil {
		return nil, sendError(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil && ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFailed, err)
	}
	if len(body) > maxResponse {
		return nil, fmt.Errorf("%w: larger than %d bytes", errUnexpected, maxResponse)
	}
	return &response{resp.StatusCode, body}, nil
}

// sendError classifies err, which http.Client.Do returned for a request with the given ctx.
func sendError(ctx context.Context, err error) error {
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case ctx.Err() != nil:
		return contextError(ctx)
	case isCertificate:
		return fmt.Errorf("%w: %w", errCertificate, err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: %w", errNoAPI, err)
	default:
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
}

// contextError returns the error for a request whose ctx is done. Nothing else returns errTimeout or errDisconnected:
// shareSession relies on that.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errTimeout
	}
	return errDisconnected
}

// decodeOK decodes the body of a 200, a JSON object, into v. For any other status, it returns an error.
func (r *response) decodeOK(v any) error {
	if r.status != http.StatusOK {
		return r.statusError()
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return fmt.Errorf("%w: %w", errUnexpected, err)
	}
	return nil
}

// statusError returns the error for a status other than 200. OpenVidu's reason for a 400 is about what the client sent,
// so the client gets it. Any other reason is a part of the cause.
func (r *response) statusError() error {
	reason := fmt.Sprintf("%.300s", r.reason()) // 300 characters: OpenVidu may quote a property of 100 KiB
	e := errUnexpected
	switch {
	case r.status == http.StatusBadRequest && reason != "":
		return httpError{http.StatusBadRequest, reason}
	case r.status == http.StatusBadRequest, r.status == http.StatusNotFound, r.status == http.StatusNotImplemented,
		r.status/100 == 3:
		// A 400 without a reason comes from an HTTPS port that received HTTP. 404 and 501 come from another path or web
		// server. A redirect usually leads to HTTPS.
		e = errNoAPI
	case r.status == http.StatusUnauthorized:
		e = errCredentials
	case r.status == http.StatusForbidden:
		// OpenVidu's nginx responds 403 if ALLOWED_ACCESS_TO_RESTAPI doesn't list this server. OpenVidu 2.32 responds
		// 403 to a wrong path, and to JSON that it rejects but Go accepts, such as 1,001 levels of nesting or a number
		// of 1,001 digits.
		e = errForbidden
	case r.status >= http.StatusInternalServerError:
		e = errFailed
	}
	cause := fmt.Sprintf("status %d", r.status)
	if reason != "" {
		cause += ": " + reason
	}
	return fmt.Errorf("%w: %s", e, cause)
}

// reason returns why OpenVidu rejects a request, in one line, or "" if the response isn't from OpenVidu's API, whose
// errors have an error field and usually a message.
func (r *response) reason() string {
	var body struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Error == "" {
		return ""
	}
	return strings.Join(strings.Fields(cmp.Or(body.Message, body.Error)), " ")
}
