//! What an `nginx` is told.

use std::fmt::Write as _;
use std::path::Path;

use super::super::tls;
use super::Nginx;

/// The log of requests, in its home.
pub(super) const REQUESTS: &str = "requests";

/// Options for an [`Nginx`].
#[derive(Clone, Debug)]
pub struct NginxBuilder {
    options: Options,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    upstream: String,
    pub(super) tls: bool,
    client_certificates: bool,
    max_body: Option<String>,
    rate: Option<Rate>,
}

#[derive(Clone, Debug)]
struct Rate {
    a_second: u32,
    burst: u32,
}

impl NginxBuilder {
    pub(super) fn new(upstream: &str) -> Self {
        let upstream = upstream.to_owned();
        Self { options: Options { upstream, tls: false, client_certificates: false, max_body: None, rate: None } }
    }

    /// Speaks HTTPS, with a certificate of an authority of its own: see [`Nginx::ca_file`].
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.options.tls = true;
        self
    }

    /// Speaks HTTPS, with those alone who show a certificate of the same authority: see
    /// [`Nginx::client_certificate`].
    #[must_use]
    pub fn with_client_certificates(mut self) -> Self {
        self.options.client_certificates = true;
        self.with_tls()
    }

    /// Refuses larger bodies with 413; nginx writes sizes like `5m`. Without it there is no limit.
    #[must_use]
    pub fn with_max_body(mut self, size: &str) -> Self {
        self.options.max_body = Some(size.to_owned());
        self
    }

    /// Refuses more requests than these with 429.
    #[must_use]
    pub fn with_rate(mut self, a_second: u32, burst: u32) -> Self {
        self.options.rate = Some(Rate { a_second, burst });
        self
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start(self) -> Nginx {
        Nginx::start_with(self.options)
    }
}

impl Options {
    /// One process, so that killing it leaves none, and nothing outside of its home. `/` it answers
    /// itself, which tells that it has started whatever there is behind it.
    pub(super) fn render(&self, host: &str, home: &Path, tls: Option<&tls::Files>) -> String {
        let (zone, limit) = self.rate.as_ref().map_or_else(Default::default, Rate::render);
        format!(
            "daemon off;
master_process off;
pid {home}/pid;
error_log stderr notice;
events {{}}
http {{
  log_format request '$request_method $uri $status';
  access_log {home}/{REQUESTS} request;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
{zone}  server {{
    listen {host}{ssl};
    client_max_body_size {max_body};
{tls}    location = / {{
      access_log off;
      return 204;
    }}
    location / {{
{limit}      proxy_pass http://{upstream};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
",
            home = home.display(),
            ssl = if tls.is_some() { " ssl" } else { "" },
            max_body = self.max_body.as_deref().unwrap_or("0"),
            tls = tls.map(|files| self.render_tls(files)).unwrap_or_default(),
            upstream = self.upstream,
        )
    }

    fn render_tls(&self, files: &tls::Files) -> String {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let mut text = format!("    ssl_certificate {certificate};\n    ssl_certificate_key {key};\n");
        if self.client_certificates {
            let authority = files.authority.display();
            let _ = write!(text, "    ssl_client_certificate {authority};\n    ssl_verify_client on;\n");
        }
        text
    }
}

impl Rate {
    /// What stands beside the server, and what within it.
    fn render(&self) -> (String, String) {
        let zone = format!("  limit_req_zone $binary_remote_addr zone=all:1m rate={}r/s;\n", self.a_second);
        let limit = format!("      limit_req zone=all burst={} nodelay;\n      limit_req_status 429;\n", self.burst);
        (zone, limit)
    }
}
