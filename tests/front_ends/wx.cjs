// As much of the mini-program's runtime as the example uses, with the rules of WeChat that a browser does not have.

const fs = require('node:fs')
const path = require('node:path')

const METHODS = ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT']
const storage = new Map()
const requests = []
let codes = []
let underWay = 0
/** Given a request, says `lost` or an answer instead of what comes. */
let network = async (send) => send()

async function transport(options, send) {
  requests.push(options)
  if (++underWay > 10) throw new Error('more than ten requests at once')
  try {
    const answer = await network(send, options)
    return { statusCode: answer.status, header: Object.fromEntries(answer.headers), text: await answer.text() }
  } finally {
    underWay--
  }
}

function settle({ success, fail }, name, work) {
  work().then(
    (result) => success && success(result),
    (error) => fail && fail({ errMsg: `${name}:fail ${error.message}` }),
  )
}

const headersOf = (header = {}) => {
  if (Object.keys(header).some((key) => key.toLowerCase() === 'referer')) throw new Error('Referer is not set by hand')
  return { ...header, Referer: 'https://servicewechat.com/wx1234567890abcdef/0/page-frame.html' }
}

global.wx = {
  request(options) {
    settle(options, 'request', async () => {
      const { url, method = 'GET', data, header } = options
      if (!METHODS.includes(method)) throw new Error('method is invalid')
      const inAddress = method === 'GET' || method === 'DELETE'
      const query = inAddress && data ? `?${new URLSearchParams(data)}` : ''
      const body = inAddress || data === undefined ? undefined : JSON.stringify(data)
      const { text, ...answer } = await transport(options, () => fetch(url + query, { method, body, headers: headersOf(header) }))
      let parsed = text
      try {
        parsed = JSON.parse(text)
      } catch {
        // A text stays one.
      }
      return { ...answer, data: parsed, errMsg: 'request:ok' }
    })
  },
  uploadFile(options) {
    settle(options, 'uploadFile', async () => {
      const { url, filePath, name, formData = {}, header } = options
      if (typeof filePath !== 'string' || typeof name !== 'string') throw new Error('parameter error: one file and its name')
      const form = () => {
        const form = new FormData()
        for (const [field, value] of Object.entries(formData)) form.append(field, value)
        // The name is one that WeChat made, and the type need not be right.
        form.append(name, new Blob([fs.readFileSync(filePath)], { type: 'application/octet-stream' }), `wx_${path.basename(filePath)}`)
        return form
      }
      const { text, ...answer } = await transport(options, () => fetch(url, { method: 'POST', body: form(), headers: headersOf(header) }))
      return { ...answer, data: text, errMsg: 'uploadFile:ok' }
    })
  },
  login(options) {
    settle(options, 'login', async () => ({ code: codes.shift(), errMsg: 'login:ok' }))
  },
  getStorageSync: (key) => storage.get(key) ?? '',
  setStorageSync: (key, value) => void storage.set(key, structuredClone(value)),
  removeStorageSync: (key) => void storage.delete(key),
  stopPullDownRefresh() {},
}

/** Pages as they register themselves, and one opened as WeChat would. */
let registered
global.Page = (page) => (registered = page)
function open(file) {
  require(file)
  const page = Object.create(registered)
  page.data = structuredClone(registered.data)
  page.setData = (change) => Object.assign(page.data, structuredClone(change))
  return page
}

module.exports = {
  open,
  requests,
  storage,
  logsInWith: (...next) => (codes = next),
  breaks: (how) => (network = how ?? (async (send) => send())),
}
