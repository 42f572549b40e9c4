// Before anything is painted: the colours that were chosen here the last time.
try {
  const theme = localStorage.getItem("regferry-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Who keeps no such things sees what the system prefers.
}
