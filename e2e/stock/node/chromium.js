// Follows a gatecast URL with the WebSocket of a real browser: a page, served
// from an origin of its own, opens the socket and reports what comes in.
// Usage: node chromium.js URL. Prints "open EXTENSIONS", "text MESSAGE", "close CODE".
// With "-" in place of the URL it reads URLs from standard input, and follows
// each in a new page, one after the other: a browser takes long to start.
import fs from 'node:fs'
import http from 'node:http'
import readline from 'node:readline'
import { chromium } from 'playwright-core'

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'
if (process.argv[2] === '--probe') process.exit(fs.existsSync(executablePath) ? 0 : 1)

// follow runs inside the page. What comes in while the page is being listened
// to goes out together.
function follow(url) {
  const lines = []
  let busy = false
  async function say(verb, words) {
    lines.push(`${verb} ${words}\n`)
    if (busy) return
    busy = true
    while (lines.length > 0) await print(lines.splice(0).join(''))
    busy = false
  }
  const socket = new WebSocket(url)
  socket.onopen = () => {
    say('open', socket.extensions)
    socket.send('こんにちは')
  }
  socket.onmessage = (event) => say('text', event.data)
  socket.onclose = (event) => say('close', String(event.code))
}

const pages = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.end('<!doctype html><title>follower</title>')
})
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))

const browser = await chromium.launch({
  executablePath,
  timeout: 0, // whoever started this knows how long to wait
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
  ],
})

// visit follows one URL to its end.
async function visit(url) {
  const page = await browser.newPage()
  page.setDefaultTimeout(0)
  const closed = new Promise((resolve) => {
    page.exposeFunction('print', (lines) => {
      process.stdout.write(lines)
      if (/^close /m.test(lines)) resolve()
    }).then(() => page.goto(`http://127.0.0.1:${pages.address().port}/`))
      .then(() => page.evaluate(follow, url))
  })
  await closed
  await page.close()
}

const given = process.argv[2]
const urls = given === '-' ? readline.createInterface({ input: process.stdin }) : [given]
for await (const url of urls) await visit(url)
await browser.close()
pages.close()
