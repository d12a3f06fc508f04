// Reload, but not away from what somebody has opened to read. What the page opens by itself is open after it, too.
setInterval(() => { if (!document.querySelector("details[open]:not(.live)")) location.reload() }, 5000)
