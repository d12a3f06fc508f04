// Reload, but not away from what somebody has opened to read.
setInterval(() => { if (!document.querySelector("details[open]")) location.reload() }, 5000)
