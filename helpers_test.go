package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// This file contains what the other test files share. The tests talk to this server over HTTP, as a frontend does. A
// fake OpenVidu sends it responses recorded from a real one. Responses, lines of the log and the requests that OpenVidu
// receives are compared whole, as text.
//
// Most tests run in a bubble of testing/synctest, with connections in memory (testRows, testBubble, startTest). There,
// sleeping takes no real time, and durations are exact. The tests of the whole program use startProgram and
// startProcess.

// testRoutes lists the API's routes.
var testRoutes = []string{"POST /api/sessions", "POST /api/sessions/{sessionId}/connections"}

// Requests are a method and a path.
const (
	testSessions    = "POST /api/sessions"
	testConnections = "POST /api/sessions/SessionA/connections"
	testSessionA    = `{"customSessionId":"SessionA"}`
)

// These are the API's error responses: status and text.
const (
	wantPassword = "401 missing or wrong password: ask whoever runs this server for API_PASSWORD, " +
		"and send it as Authorization: Bearer PASSWORD"
	wantUnreadableBody  = "400 cannot read request body"
	wantNotUTF8         = "400 request body must be UTF-8"
	wantNotJSONObject   = "400 request body must be a JSON object"
	wantCustomSessionID = "400 customSessionId must be a string of at most 1,000 characters: A-Z, a-z, 0-9, _ and -"
	wantSessionNotFound = "404 session not found: create it first with POST /api/sessions"
	wantSlowBody        = "408 timed out reading request body"
	wantLargeBody       = "413 request body exceeds 100 KiB"
	wantDisconnected    = "499 client disconnected"
	wantInternal        = "500 internal server error: see this server's log"
	wantCredentials     = "502 OpenVidu rejected the credentials: check OPENVIDU_SECRET"
	wantForbidden       = "502 OpenVidu denied access: " +
		"check OPENVIDU_URL, OpenVidu's log, and ALLOWED_ACCESS_TO_RESTAPI"
	wantNoAPI       = "502 no OpenVidu API found: check the scheme, host, port and path in OPENVIDU_URL"
	wantUnreachable = "502 cannot reach OpenVidu: check that it is running and that OPENVIDU_URL is correct"
	wantCertificate = "502 cannot verify OpenVidu's certificate: " +
		"check the host in OPENVIDU_URL, the certificate and its CA"
	wantFailed     = "502 OpenVidu failed: check that it is running and see its log"
	wantUnexpected = "502 unexpected response from OpenVidu: check OPENVIDU_URL"
	wantTimeout    = "504 OpenVidu timed out: try again, or check OPENVIDU_URL"

	// These come from net/http. The log has a cause only if the request was for a file.
	wantPageNotFound = "404 404 page not found"
	wantNotAllowed   = "405 Method Not Allowed"
)

// testMessages are this server's own error responses.
var testMessages = []string{wantPassword, wantUnreadableBody, wantNotUTF8, wantNotJSONObject, wantCustomSessionID,
	wantSessionNotFound, wantSlowBody, wantLargeBody, wantDisconnected, wantInternal, wantCredentials, wantForbidden,
	wantNoAPI, wantUnreachable, wantCertificate, wantFailed, wantUnexpected, wantTimeout}

// testExchange is a request to this server, OpenVidu's response to it, and what follows from the two.
type testExchange struct {
	name          string
	request, body string
	openvidu      http.HandlerFunc // nil if OpenVidu must not receive a request
	want          string           // status and text of the response
	wantHeader    []string         // lines of the response's header that not every response has
	wantCause     string           // pattern for all that the log adds to the text
}

// run compares the whole response, the whole log, and all that OpenVidu received.
func (e testExchange) run(t *testing.T) {
	s := startTest(t, e.openvidu)
	testEqual(t, "response", s.send(t, e.request, e.body), wantText(e.want, e.wantHeader...))
	if t.Failed() {
		return // the log differs for the same reason
	}
	testLogLine(t, s.log, e.request, e.want, e.wantCause)
	forwarded := ""
	if e.openvidu != nil {
		forwarded = wantForwarded(e.request, e.body)
	}
	testEqual(t, "requests to OpenVidu", s.openvidu.received(), forwarded)
}

// testRows runs test for each row, in a bubble of its own, and stops after three failures. A row's first field is its
// name.
func testRows[Row any](t *testing.T, rows []Row, test func(t *testing.T, row Row)) {
	t.Helper()
	failed := 0
	for _, row := range rows {
		if !t.Run(reflect.ValueOf(row).Field(0).String(), func(t *testing.T) {
			testBubble(t, func(t *testing.T) { test(t, row) })
		}) {
			failed++
		}
		if failed == 3 {
			t.Fatal("three rows failed: the others are skipped")
		}
	}
}

// testBubble runs test with the clock of testing/synctest. In an endless loop, that clock stands still, and so do all
// deadlines, so a watchdog in real time ends the run.
func testBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	watchdog := time.AfterFunc(3*testPatience, func() {
		fmt.Printf("--- FAIL: %s: an endless loop, or a wait for something outside the bubble\n", t.Name())
		os.Exit(1)
	})
	defer watchdog.Stop()
	defer func() {
		if p := recover(); p != nil { // synctest's
			t.Errorf("something waits forever: %v", p)
		}
	}()
	synctest.Test(t, test)
}

// testPatience is how long a test waits for something that should happen immediately, unless it runs in a bubble.
const testPatience = 5 * time.Second

// testServer is this server in front of a fake OpenVidu.
type testServer struct {
	openvidu *fakeOpenVidu
	ov       *openVidu
	log      *testLog
	address  string             // "" in a bubble
	network  *testNetwork       // in a bubble
	stop     context.CancelFunc // starts the shutdown
	result   chan error         // of the program
}

// startTest starts this server in a bubble, in front of an OpenVidu that responds with the given handler. settings
// are NAME=value pairs.
func startTest(t *testing.T, openvidu http.HandlerFunc, settings ...string) *testServer {
	t.Helper()
	return startTestWith(t, newFake(openvidu), nil, settings...)
}

// startTestWith is startTest for a given fake and, unless api is nil, a given API.
func startTestWith(t *testing.T, f *fakeOpenVidu, api http.Handler, settings ...string) *testServer {
	t.Helper()
	openviduNetwork := newTestNetwork()
	f.start(t, openviduNetwork)
	settings = append([]string{"OPENVIDU_URL=http://127.0.0.1:4443", "OPENVIDU_SECRET=" + testSecret}, settings...)
	cfg, err := loadConfig(testEnv(settings...), testDir("", ""))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &testServer{openvidu: f, log: newTestLog(), network: newTestNetwork(), stop: stop,
		result: make(chan error, 1),
		ov:     newOpenVidu(cfg.openviduURL, cfg.secret, cfg.tlsSkipVerify)}
	s.transport().DialContext = func(context.Context, string, string) (net.Conn, error) {
		return openviduNetwork.dial()
	}
	if api == nil {
		api = newAPI(s.ov, cfg.password)
	}
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	served := make(chan bool)
	go func() {
		s.result <- serve(ctx, cfg, api, s.network, logger)
		close(served)
	}()
	t.Cleanup(func() {
		f.CloseClientConnections() // ends the requests in flight
		stop()
		<-served
		s.ov.client.CloseIdleConnections()
		s.log.checkSecrets(t)
	})
	return s
}

func (s *testServer) transport() *http.Transport { return s.ov.client.Transport.(*http.Transport) }

// startProgram runs the whole program until the end of the test.
func startProgram(t *testing.T, dir fs.FS, env ...string) *testServer {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &testServer{log: newTestLog(), stop: stop, result: make(chan error, 1)}
	ended := make(chan bool)
	go func() {
		s.result <- run(ctx, testEnv(env...), dir, s.log)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		testReceive(t, "the end of the program", ended)
		s.log.checkSecrets(t)
	})
	s.address = "127.0.0.1:" + s.waitFor(t, `msg=listening address=\S+:(\d+) `)
	return s
}

// testProcess is the program in a process of its own.
type testProcess struct {
	testServer
	cmd      *exec.Cmd
	closeLog func() // closes the reading end of the program's stderr
}

// TestMain runs main instead of the tests if testCommand started this binary as the program.
func TestMain(m *testing.M) {
	if os.Getenv("OPENVIDU_TEST_MAIN") != "" {
		main()
		return
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		os.Unsetenv(name) // tests use the loopback interface only
	}
	os.Exit(m.Run())
}

// startProcess starts the program with the given environment and waits until it listens.
func startProcess(t *testing.T, env ...string) *testProcess {
	t.Helper()
	cmd, log := testCommand(t, append(env, "SERVER_PORT=0", "OPENVIDU_SECRET="+testSecret)...)
	cmd.Stderr = nil
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &testProcess{testServer{log: log, result: make(chan error, 1)}, cmd, func() { stderr.Close() }}
	ended := make(chan bool)
	go func() {
		io.Copy(log, stderr)
		p.result <- cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		testReceive(t, "the end of the program", ended)
		log.checkSecrets(t)
	})
	p.address = "127.0.0.1:" + p.waitFor(t, `msg=listening address=\S+:(\d+) `)
	return p
}

// testCommand returns a command that runs the program for at most testPatience, and its stderr. Unless env has another
// OPENVIDU_URL, the program finds a server that closes every connection: the default could be a real OpenVidu.
func testCommand(t *testing.T, env ...string) (*exec.Cmd, *testLog) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for c, err := listener.Accept(); err == nil; c, err = listener.Accept() {
			c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), testPatience)
	t.Cleanup(cancel)
	cmd, log := exec.CommandContext(ctx, self), newTestLog()
	cmd.Dir, cmd.Stderr = t.TempDir(), log
	cmd.Env = append([]string{"OPENVIDU_URL=http://" + listener.Addr().String()}, env...)
	cmd.Env = append(cmd.Env, "OPENVIDU_TEST_MAIN=1", "GORACE=atexit_sleep_ms=0", "GOCOVERDIR="+cmd.Dir)
	return cmd, log
}

// dial opens a connection to this server with a deadline of testPatience, or 5 min in a bubble.
func (s *testServer) dial(t *testing.T) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	deadline := time.Now().Add(testPatience)
	if s.network != nil {
		c, err = s.network.dial()
		deadline = time.Now().Add(5 * time.Minute)
	} else {
		c, err = net.Dial("tcp", s.address)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(deadline)
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends a request with the given body and header lines and returns the whole response, as testReadResponse does.
func (s *testServer) send(t *testing.T, request, body string, header ...string) string {
	t.Helper()
	return s.sendRaw(t, testRequest(request, body, header...))
}

// sendRaw is send for a request as it is on the wire.
func (s *testServer) sendRaw(t *testing.T, raw string) string {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	go io.WriteString(c, raw)
	method, _, _ := strings.Cut(raw, " ")
	return testReadResponse(c, method)
}

// testRequest returns a request to this server as it is on the wire. Every request of the tests is made here.
func testRequest(request, body string, header ...string) string {
	lines := append([]string{request + " HTTP/1.1", "Host: example.com"}, header...)
	if !slices.Contains(header, "Transfer-Encoding: chunked") {
		lines = append(lines, fmt.Sprint("Content-Length: ", len(body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// testReadResponse reads a response to a request with the given method from c and returns it in the form of
// wantResponse, or its error.
func testReadResponse(c net.Conn, method string) string {
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	resp.Header.Del("Date")
	if resp.Close { // ReadResponse removes the header
		resp.Header.Set("Connection", "close")
	}
	return fmt.Sprintf("%d\n%s\n%s", resp.StatusCode, testHeaderLines(resp.Header), body)
}

// testHeader returns the header with the given lines.
func testHeader(lines []string) http.Header {
	header := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		header.Add(name, value)
	}
	return header
}

// testHeaderLines returns the lines of a header, sorted by name.
func testHeaderLines(header http.Header) string {
	var text strings.Builder
	header.Write(&text)
	return strings.ReplaceAll(text.String(), "\r\n", "\n")
}

// wantResponse returns a whole response, without Date: the status, the given header lines and Content-Length, sorted
// by name, and the body.
func wantResponse(status int, body string, header ...string) string {
	values := testHeader(header)
	if status != http.StatusNoContent && status != http.StatusNotModified && values.Get("Content-Length") == "" {
		values.Set("Content-Length", strconv.Itoa(len(body)))
	}
	return fmt.Sprintf("%d\n%s\n%s", status, testHeaderLines(values), body)
}

// wantText returns the whole response for a status and a text, such as wantInternal, if every origin is allowed.
func wantText(want string, header ...string) string {
	code, text, _ := strings.Cut(want, " ")
	status, _ := strconv.Atoi(code)
	if status == http.StatusNoContent {
		return wantResponse(status, "", append(header, "Access-Control-Allow-Origin: *")...)
	}
	if status != http.StatusOK {
		text += "\n" // http.Error adds it
	}
	return wantResponse(status, text, append(header, "Access-Control-Allow-Origin: *",
		"Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff")...)
}

// wantLogLine returns the line that the log has for a request. want is the status and the text of the response, cause
// is what the log adds to the text, and attrs are the attributes that follow, as names and values.
func wantLogLine(request, want, cause string, attrs ...any) string {
	method, target, _ := strings.Cut(request, " ")
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err)
	}
	code, text, _ := strings.Cut(want, " ")
	status, _ := strconv.Atoi(code)
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	if text != "" && status >= 400 && want != wantPageNotFound && want != wantNotAllowed {
		if cause != "" {
			text += ": " + cause
		}
		attrs = append(attrs, "error", text)
	}
	attrs = append([]any{"method", method, "path", u.Path, "status", status, "duration", time.Duration(0)}, attrs...)
	log := newTestLog()
	slog.New(slog.NewTextHandler(log, nil)).Log(context.Background(), level, "request", attrs...)
	return log.lines()
}

// testLogLine compares the whole log with the line of one request. If cause isn't "", it is a pattern for the whole
// cause.
func testLogLine(t *testing.T, log *testLog, request, want, cause string) {
	t.Helper()
	testEqual(t, "log", log.linesWithCause(want, cause), wantLogLine(request, want, cause))
}

// wantReceived returns a whole request that OpenVidu receives, in the form of fakeOpenVidu.received.
func wantReceived(request, body string, header ...string) string {
	values := testHeader(append(header, "Accept-Encoding: gzip", "Authorization: Basic "+testCredentials,
		"Content-Type: application/json", "User-Agent: Go-http-client/1.1", fmt.Sprint("Content-Length: ", len(body))))
	return request + "\n" + testHeaderLines(values) + "\n" + body + "\n"
}

// wantForwarded returns the whole request that OpenVidu receives for a first request to this server.
func wantForwarded(request, body string) string {
	request = strings.Replace(request, "/api/", "/openvidu/api/", 1)
	if strings.HasSuffix(request, "/connections") {
		request = strings.TrimSuffix(request, "s")
	}
	if strings.HasPrefix(request, "POST ") {
		body = cmp.Or(body, "{}")
	}
	return wantReceived(request, body)
}

// fakeOpenVidu is a server that responds with a handler and records every request.
type fakeOpenVidu struct {
	*httptest.Server
	connected atomic.Int32 // number of connections so far
	mu        sync.Mutex
	requests  strings.Builder
}

// newFake returns a fake that hasn't been started.
func newFake(respond http.HandlerFunc) *fakeOpenVidu {
	f := &fakeOpenVidu{}
	if respond == nil {
		respond = fakeResponse(500, "")
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		header := r.Header.Clone()
		header.Set("Content-Length", fmt.Sprint(r.ContentLength))
		f.mu.Lock()
		fmt.Fprintf(&f.requests, "%s %s\n%s\n%s\n", r.Method, r.RequestURI, testHeaderLines(header), body)
		f.mu.Unlock()
		respond(w, r)
	}
	f.Server = &httptest.Server{Config: &http.Server{
		Handler:  http.HandlerFunc(handler),
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				f.connected.Add(1)
			}
		},
	}}
	return f
}

// start starts f on the given listener, or on the loopback interface if it is nil, until the end of the test.
func (f *fakeOpenVidu) start(t *testing.T, listener net.Listener) {
	t.Helper()
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	f.Listener = listener
	if f.TLS != nil {
		f.StartTLS()
	} else {
		f.Start()
	}
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
}

// received returns the whole requests since the last call: method and path, header lines, body.
func (f *fakeOpenVidu) received() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := f.requests.String()
	f.requests.Reset()
	return text
}

// fakeResponse returns a handler that responds as OpenVidu does, with its session cookie.
func fakeResponse(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", testCookie+"; Path=/; HttpOnly")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("WWW-Authenticate", `Basic realm="Realm"`)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// fakeRecorded responds as OpenVidu does to a check, to a request for a session or a connection, and to one with the
// invalid role BOSS.
func fakeRecorded(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.HasSuffix(r.URL.Path, "/openvidu/api/config"):
		fakeResponse(200, recordedConfig)(w, r)
	case strings.HasSuffix(r.URL.Path, "/openvidu/api/sessions"):
		fakeResponse(200, recordedSession)(w, r)
	case strings.Contains(string(body), "BOSS"):
		fakeResponse(400, recordedInvalid)(w, r)
	default:
		fakeResponse(200, recordedConnection)(w, r)
	}
}

// fakeAfter returns a handler that waits for release before it responds.
func fakeAfter[T any](release <-chan T, respond http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			respond(w, r)
		case <-r.Context().Done():
		}
	}
}

// fakeDelay returns a handler that takes some time before it responds.
func fakeDelay(delay time.Duration, respond http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fakeAfter(time.After(delay), respond)(w, r) }
}

// fakeText returns a handler that writes text to the connection and closes it.
func fakeText(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(c, text)
		c.Close()
	}
}

// fakeHang returns a handler that writes text to the connection and waits until the client closes it.
func fakeHang(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(c, text)
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// testNetwork is a net.Listener whose connections are in memory.
type testNetwork struct {
	conns  chan net.Conn
	errors chan error // for Accept to return
	close  sync.Once
	closed chan struct{}
}

func newTestNetwork() *testNetwork {
	return &testNetwork{conns: make(chan net.Conn), errors: make(chan error), closed: make(chan struct{})}
}

func (n *testNetwork) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *testNetwork) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case err := <-n.errors:
		return nil, err
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *testNetwork) Close() error {
	n.close.Do(func() { close(n.closed) })
	return nil
}

func (n *testNetwork) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4443} }

// testLog is a buffer for a log, safe for concurrent use.
type testLog struct {
	mu      sync.Mutex
	written strings.Builder
	changed chan struct{} // closed by the next Write
}

func newTestLog() *testLog { return &testLog{changed: make(chan struct{})} }

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.written.Write(p)
}

// read returns the text so far and a channel that is closed when there is more.
func (l *testLog) read() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written.String(), l.changed
}

func (l *testLog) text() string {
	text, _ := l.read()
	return text
}

// lines returns the log without times.
func (l *testLog) lines() string {
	return regexp.MustCompile(`(?m)^time=\S+ `).ReplaceAllString(l.text(), "")
}

// linesWithCause returns the log without times. A cause that follows the text of want becomes the pattern cause, as in
// wantLogLine, if it matches as a whole.
func (l *testLog) linesWithCause(want, cause string) string {
	if cause == "" {
		return l.lines()
	}
	_, text, _ := strings.Cut(want, " ")
	whole := regexp.MustCompile("^" + regexp.QuoteMeta(text) + ": (?:" + cause + ")$")
	quoted := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	return quoted.ReplaceAllStringFunc(l.lines(), func(value string) string {
		unquoted, _ := strconv.Unquote(value)
		return strconv.Quote(whole.ReplaceAllLiteralString(unquoted, text+": "+cause))
	})
}

// checkSecrets fails the test if the log contains a secret.
func (l *testLog) checkSecrets(t *testing.T) {
	t.Helper()
	for _, secret := range []string{testSecret, testCredentials, testPassword, "tok_",
		strings.TrimPrefix(testCookie, "OVJSESSIONID="), "hidden"} {
		if strings.Contains(l.text(), secret) {
			t.Errorf("the log contains %q:\n%.1000s", secret, l.text())
		}
	}
}

// waitFor waits until the log matches pattern and returns the last group.
func (s *testServer) waitFor(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(testPatience)
	for {
		text, changed := s.log.read()
		if match := re.FindStringSubmatch(text); match != nil {
			return match[len(match)-1]
		}
		select {
		case <-changed:
		case err := <-s.result:
			t.Fatalf("the program has ended: %v\n%.1000s", err, s.log.text())
		case <-timeout:
			t.Fatalf("the log has no line with %s:\n%.1000s", pattern, text)
		}
	}
}

// testReceive returns the next value from ch, which is called name in failures.
func testReceive[T any](t *testing.T, name string, ch <-chan T) T {
	t.Helper()
	select {
	case value := <-ch:
		return value
	case <-time.After(testPatience):
		t.Fatalf("%s didn't happen within %v", name, testPatience)
		panic("unreachable")
	}
}

// testEnv returns a replacement for os.Getenv with the given NAME=value pairs.
func testEnv(env ...string) func(string) string {
	values := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

// testDir returns a directory that contains the given file, unless its name is "".
func testDir(name, text string) fs.FS {
	if name == "" {
		return fstest.MapFS{}
	}
	return fstest.MapFS{name: {Data: []byte(text)}}
}

// testRead returns the text of a file of this repository, with LF for the CRLF of a checkout on Windows.
func testRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// testFind returns what the first group of pattern matches in text, each time.
func testFind(text, pattern string) []string {
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// testEqual fails the test if got differs from want, and shows the lines that differ.
func testEqual[T any](t *testing.T, name string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%.100s (- want, + got):\n%s", name, testDiff(testText(got), testText(want)))
	}
}

// testText returns the text of a value, and names and values of a struct's fields.
func testText(value any) string {
	v := reflect.ValueOf(value)
	if v.Kind() != reflect.Struct {
		return fmt.Sprint(value)
	}
	var text strings.Builder
	for field, value := range v.Fields() {
		fmt.Fprintf(&text, "%s: %+v\n", field.Name, value)
	}
	return text.String()
}

// testDiff returns the lines of got and want that differ, at most ten of each, with a line before and after them. If
// the first lines differ, as the statuses of two responses do, it starts with them.
func testDiff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if g[0] != w[0] && len(g) > 1 && len(w) > 1 {
		return fmt.Sprintf("- %.400s\n+ %.400s\n", w[0], g[0]) + testDiff(got[len(g[0])+1:], want[len(w[0])+1:])
	}
	before, after := 0, 0
	for before < min(len(g), len(w)) && g[before] == w[before] {
		before++
	}
	for after < min(len(g), len(w))-before && g[len(g)-1-after] == w[len(w)-1-after] {
		after++
	}
	var diff strings.Builder
	add := func(prefix string, lines []string) {
		for i, line := range lines {
			if i == 10 {
				fmt.Fprintf(&diff, "%s… %d more lines\n", prefix, len(lines)-i)
				return
			}
			fmt.Fprintf(&diff, "%s%.400s\n", prefix, line)
		}
	}
	add("  ", g[max(before-1, 0):before])
	add("- ", w[before:len(w)-after])
	add("+ ", g[before:len(g)-after])
	add("  ", g[len(g)-after:min(len(g)-after+1, len(g))])
	return diff.String()
}

// testMatch fails the test if got doesn't match the pattern want.
func testMatch(t *testing.T, name, got, want string) {
	t.Helper()
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("%.100s: got\n%.1000s\nwant a match of\n%.1000s", name, got, want)
	}
}

// testContains fails the test if got doesn't contain want.
func testContains(t *testing.T, name, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s doesn't contain\n%.1000s", name, want)
	}
}

// Responses recorded from OpenVidu 2.31.0.
const (
	recordedSession = `{"id":"SessionA","object":"session","sessionId":"SessionA","createdAt":1795490638585,` +
		`"recording":false,"broadcasting":false,"mediaMode":"ROUTED","recordingMode":"MANUAL",` +
		`"defaultRecordingProperties":{"name":"","hasAudio":true,"hasVideo":true,"outputMode":"COMPOSED",` +
		`"recordingLayout":"BEST_FIT","resolution":"1280x720","frameRate":25,"shmSize":536870912},` +
		`"customSessionId":"SessionA","forcedVideoCodec":"MEDIA_SERVER_PREFERRED","allowTranscoding":false,` +
		`"connections":{"numberOfElements":0,"content":[]}}`
	recordedConnection = `{"id":"con_XVQuLRIvX0","object":"connection","status":"pending",` +
		`"connectionId":"con_XVQuLRIvX0","sessionId":"SessionA","createdAt":1795490638684,"type":"WEBRTC",` +
		`"record":true,"role":"PUBLISHER","kurentoOptions":null,"customIceServers":[],"rtspUri":null,` +
		`"adaptativeBitrate":null,"onlyPlayWithSubscribers":null,"networkCache":null,"serverData":"",` +
		`"token":"ws://localhost:4443?sessionId=SessionA&token=tok_JVdW1bGdeuMy0dM1","activeAt":null,"location":null,` +
		`"ip":null,"platform":null,"clientData":null,"publishers":null,"subscribers":null}`
	recordedConfig = `{"VERSION":"2.31.0","DOMAIN_OR_PUBLIC_IP":"localhost","HTTPS_PORT":4443,` +
		`"OPENVIDU_PUBLICURL":"http://localhost:4443","OPENVIDU_CDR":false,` +
		`"OPENVIDU_STREAMS_VIDEO_MAX_RECV_BANDWIDTH":1000,"OPENVIDU_STREAMS_VIDEO_MIN_RECV_BANDWIDTH":300,` +
		`"OPENVIDU_STREAMS_VIDEO_MAX_SEND_BANDWIDTH":1000,"OPENVIDU_STREAMS_VIDEO_MIN_SEND_BANDWIDTH":300,` +
		`"OPENVIDU_STREAMS_FORCED_VIDEO_CODEC":"MEDIA_SERVER_PREFERRED","OPENVIDU_STREAMS_ALLOW_TRANSCODING":false,` +
		`"OPENVIDU_WEBRTC_SIMULCAST":false,"OPENVIDU_SESSIONS_GARBAGE_INTERVAL":900,` +
		`"OPENVIDU_SESSIONS_GARBAGE_THRESHOLD":3600,"OPENVIDU_RECORDING":false,"OPENVIDU_WEBHOOK":false}`
	recordedIPCamera = `{"id":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","object":"connection","status":"active",` +
		`"connectionId":"ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","sessionId":"SessionA","createdAt":1795363587056,` +
		`"activeAt":1795363587056,"location":"unknown","ip":"127.0.0.1","platform":"IPCAM","token":null,` +
		`"type":"IPCAM","record":true,"role":null,"kurentoOptions":null,"customIceServers":[],` +
		`"rtspUri":"rtsp://127.0.0.1:1/x","adaptativeBitrate":true,"onlyPlayWithSubscribers":true,` +
		`"networkCache":2000,"serverData":"","clientData":null,"publishers":[{"createdAt":1795363587127,` +
		`"streamId":"str_IPC_Wa28_ipc_IPCAM_rtsp_RSZS_127_0_0_1_1_x","rtspUri":"rtsp://127.0.0.1:1/x",` +
		`"mediaOptions":{"hasAudio":true,"audioActive":true,"hasVideo":true,"videoActive":true,"typeOfVideo":"IPCAM",` +
		`"frameRate":null,"videoDimensions":null,"filter":{},"adaptativeBitrate":true,"onlyPlayWithSubscribers":true,` +
		`"networkCache":2000}}],"subscribers":[]}`
	recordedInvalid = `{"timestamp":1795363586293,"status":400,"error":"Bad Request","message":"Parameter role BOSS ` +
		`is not defined","path":"/openvidu/api/sessions/SessionA/connection"}`
	recordedMalformed = `{"timestamp":"2026-11-22T16:06:24.938+00:00","status":400,"error":"Bad Request",` +
		`"path":"/openvidu/api/sessions"}`
	recordedUnauthorized = `{"timestamp":"2026-11-22T16:06:25.639+00:00","status":401,"error":"Unauthorized",` +
		`"path":"/openvidu/api/sessions"}`
	recordedNotFound = `{"timestamp":"2026-11-22T16:06:25.917+00:00","status":404,"error":"Not Found",` +
		`"path":"/openvidu/api/openvidu/api/sessions"}`
	recordedInternal = `{"timestamp":"2026-11-22T16:06:26.734+00:00","status":500,"error":"Internal Server Error",` +
		`"path":"/openvidu/api/sessions/%2e%2e/connection"}`
	recordedHTML = `<!doctype html><html lang="en"><head><title>HTTP Status 400 – Bad Request</title><style ` +
		`type="text/css">body {font-family:Tahoma,Arial,sans-serif;} h1, h2, h3, b {color:white;` +
		`background-color:#525D76;} h1 {font-size:22px;} h2 {font-size:16px;} h3 {font-size:14px;} p {font-size:12px;` +
		`} a {color:black;} .line {height:1px;background-color:#525D76;border:none;}</style></head><body><h1>HTTP ` +
		`Status 400 – Bad Request</h1></body></html>`

	testCookie      = "OVJSESSIONID=8EB66F980847C6A7697796FB1F7FED6C"
	testToken       = "ws://localhost:4443?sessionId=SessionA&token=tok_JVdW1bGdeuMy0dM1"
	testCredentials = "T1BFTlZJRFVBUFA6UyNlY3JldA==" // OPENVIDUAPP:S#ecret
	testSecret      = "S#ecret"
	testPassword    = "-._~+/azAZ09pass=="
)
