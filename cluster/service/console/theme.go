// SPDX-License-Identifier: Apache-2.0

package console

import "net/http"

// themeCookie remembers whether pages are light, dark, or as the system is.
const themeCookie = "pilot_theme"

// themeAge is how long, in seconds: a year.
const themeAge = 365 * 24 * 3600

// themeOf is light, dark, or "" for what the system says.
func themeOf(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// setTheme changes how pages look. It changes nothing else, so it needs no session.
func (c *Console) setTheme(w http.ResponseWriter, r *http.Request) {
	cookie := &http.Cookie{Name: themeCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode}
	if theme := r.PostFormValue("theme"); theme == "light" || theme == "dark" {
		cookie.Value, cookie.MaxAge = theme, themeAge
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther)
}
