package audit

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// maxError bounds the text of an error: it is kept with the dead letter.
const maxError = 200

// StatusError is an HTTP answer that is not 2xx.
type StatusError struct{ Status int }

// Error names the status, not what the receiver had to say about it.
func (e *StatusError) Error() string {
	text := http.StatusText(e.Status)
	if e.Status >= 300 && e.Status < 400 {
		text += "; redirects are not followed"
	}
	return fmt.Sprintf("the receiver answered %d %s", e.Status, text)
}

// GivenUp reports whether an error is the receiver's last word on an event.
// Asking for time (408) or for fewer requests (429) is not.
func GivenUp(err error) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Status >= 400 && s.Status <= 499 && s.Status != http.StatusRequestTimeout && s.Status != http.StatusTooManyRequests
}

// failure is an error with a text that is fit to be shown.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// failed makes an error fit to be shown: without the URL, whose path and
// query may be secrets, without the secret even if the receiver sent it back,
// on one line, and short.
func failed(doing string, err error, secret string) error {
	var s *StatusError
	if err == nil || errors.As(err, &s) {
		return err
	}
	cause := err
	if u := (*url.Error)(nil); errors.As(err, &u) {
		cause = u.Err
	}
	text := cause.Error()
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return &failure{text: short(doing + ": " + text), cause: cause}
}

// short makes a text one line of at most [maxError] bytes.
func short(s string) string {
	s = strings.Map(plain, strings.ToValidUTF8(s, "\ufffd"))
	if len(s) <= maxError {
		return s
	}
	return strings.ToValidUTF8(s[:maxError-3], "") + "..."
}
